"""By what audit entries are found."""

from typing import ClassVar

import django_filters

from scheduler_api.access.audit import ObjectType, Operation
from scheduler_api.access.models import AuditEntry
from scheduler_api.http.filtering import IdFilter, InstantFilter, TextFilter


class AuditEntryFilter(django_filters.FilterSet):
    """Filters of the list; several narrow it down together."""

    account = TextFilter(
        field_name="account_name", help_text="The exact name of the account at that time."
    )
    operation = django_filters.ChoiceFilter(choices=Operation.choices, help_text="What was done.")
    object_type = django_filters.ChoiceFilter(
        choices=ObjectType.choices, help_text="What it was done to."
    )
    object_id = IdFilter(lookup_expr="exact", help_text="The id of what it was done to.")
    request_id = TextFilter(help_text="The `X-Request-Id` of the answer.")
    at_after = InstantFilter(
        field_name="at", lookup_expr="gte", help_text="Made at this moment or later."
    )
    at_before = InstantFilter(
        field_name="at", lookup_expr="lt", help_text="Made before this moment."
    )

    class Meta:
        model = AuditEntry
        fields: ClassVar[list[str]] = []
