"""Filters of audit entries."""

from typing import ClassVar

import django_filters

from scheduler_api.access.audit import ObjectType, Operation
from scheduler_api.access.models import AuditEntry
from scheduler_api.http.filtering import IdFilter, InstantFilter, TextFilter


class AuditEntryFilter(django_filters.FilterSet):
    """Filters of the list; an entry must match all of them."""

    account = TextFilter(
        field_name="account_name", help_text="Exact name of the account at the time of the change."
    )
    operation = django_filters.ChoiceFilter(choices=Operation.choices, help_text="Kind of change.")
    object_type = django_filters.ChoiceFilter(
        choices=ObjectType.choices, help_text="Type of the changed object."
    )
    object_id = IdFilter(lookup_expr="exact", help_text="ID of the changed object.")
    request_id = TextFilter(help_text="`X-Request-Id` of the response to the change.")
    at_after = InstantFilter(
        field_name="at", lookup_expr="gte", help_text="Only entries at or after this time."
    )
    at_before = InstantFilter(
        field_name="at", lookup_expr="lt", help_text="Only entries before this time."
    )

    class Meta:
        model = AuditEntry
        fields: ClassVar[list[str]] = []
