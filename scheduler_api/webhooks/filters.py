"""Filters of webhooks and deliveries."""

from typing import ClassVar

import django_filters

from scheduler_api.http.filtering import (
    ChoicesFilter,
    FlagFilter,
    IdFilter,
    InstantFilter,
    TextFilter,
)
from scheduler_api.http.names import NameFilter
from scheduler_api.webhooks.models import Delivery, Webhook


class WebhookFilter(django_filters.FilterSet):
    """Filters of webhooks; several are combined with AND."""

    enabled = FlagFilter(help_text="Whether the webhook is enabled.")
    name = NameFilter(help_text="Exact name.")

    class Meta:
        model = Webhook
        fields: ClassVar[list[str]] = []


class DeliveryFilter(django_filters.FilterSet):
    """Filters of deliveries; several are combined with AND."""

    webhook = IdFilter(help_text="ID of the webhook.")
    state = ChoicesFilter(
        choices=Delivery.State.choices,
        help_text="State; separate several with commas, or repeat the parameter.",
    )
    type = TextFilter(help_text="Event type, such as `run.failed`.")
    event_id = TextFilter(help_text="ID of the message, which is in its header `webhook-id`.")
    created_at_after = InstantFilter(
        field_name="created_at",
        lookup_expr="gte",
        help_text="Only deliveries created at or after this time.",
    )
    created_at_before = InstantFilter(
        field_name="created_at",
        lookup_expr="lt",
        help_text="Only deliveries created before this time.",
    )

    class Meta:
        model = Delivery
        fields: ClassVar[list[str]] = []
