"""By what webhooks and deliveries are found."""

from typing import ClassVar

import django_filters

from scheduler_api.http.filtering import (
    ChoicesFilter,
    FlagFilter,
    IdFilter,
    InstantFilter,
    TextFilter,
)
from scheduler_api.webhooks.models import Delivery, Webhook


class WebhookFilter(django_filters.FilterSet):
    """Filters of webhooks; several narrow them down together."""

    enabled = FlagFilter(help_text="Whether it is called.")
    name = TextFilter(help_text="The exact name.")

    class Meta:
        model = Webhook
        fields: ClassVar[list[str]] = []


class DeliveryFilter(django_filters.FilterSet):
    """Filters of deliveries; several narrow them down together."""

    webhook = IdFilter(help_text="The id of the webhook.")
    state = ChoicesFilter(
        choices=Delivery.State.choices, help_text="Where it stands; several with commas between."
    )
    type = TextFilter(help_text="What it tells of, as `run.failed`.")
    event_id = TextFilter(help_text="The `webhook-id` with which it is sent.")
    created_at_after = InstantFilter(
        field_name="created_at", lookup_expr="gte", help_text="Made at this moment or later."
    )
    created_at_before = InstantFilter(
        field_name="created_at", lookup_expr="lt", help_text="Made before this moment."
    )

    class Meta:
        model = Delivery
        fields: ClassVar[list[str]] = []
