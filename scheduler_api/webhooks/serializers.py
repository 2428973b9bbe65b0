"""Webhooks and deliveries in JSON."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from drf_spectacular.utils import (
    OpenApiExample,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from scheduler_api.access.serializers import TextList
from scheduler_api.http import fields
from scheduler_api.http.names import Name
from scheduler_api.http.serializers import StrictModelSerializer, StrictSerializer
from scheduler_api.openapi.bodies import examples
from scheduler_api.outbound.address_guard import (
    AddressRefused,
    Unresolvable,
    addresses_of,
    parse_url,
)
from scheduler_api.periodic_tasks.labels import KEY, parse_selector
from scheduler_api.runs.events import RunEvent
from scheduler_api.webhooks.models import Delivery, Webhook
from scheduler_api.webhooks.payloads import PING
from scheduler_api.webhooks.suspension import suspension_reason

# Short, because a caller waits. The sender resolves the host again, with a longer timeout.
RESOLVE_TIMEOUT_SECONDS = 2
SECRET_EXAMPLE = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw4kcHDqXnJvM="  # noqa: S105 - an example

REQUEST: dict[str, Any] = {
    "name": "Alerts",
    "url": "https://hooks.example.com/scheduler",
    "events": ["run.failed", "run.recovered"],
    "label": "team=billing",
}
ANSWER: dict[str, Any] = {
    "id": 1,
    "owner": "crm",
    **REQUEST,
    "enabled": True,
    "disabled_at": None,
    "disabled_reason": "",
    "suspended_reason": "",
    "previous_until": None,
    "created_at": "2027-03-28T01:00:00Z",
}
DELIVERY: dict[str, Any] = {
    "id": 1,
    "webhook": 1,
    "event_id": "msg_0f3c1d2e4b5a49788c6d7e8f90a1b2c3",
    "type": PING,
    "run": None,
    "state": "pending",
    "attempts": 0,
    "next_attempt_at": "2027-03-28T01:00:00Z",
    "last_status": None,
    "last_error": "",
    "created_at": "2027-03-28T01:00:00Z",
    "delivered_at": None,
}
FULL_DELIVERY: dict[str, Any] = {
    **DELIVERY,
    "payload": {"type": PING, "timestamp": "2027-03-28T01:00:00Z", "data": {"webhook": 1}},
}


class WebhookFields(StrictModelSerializer):
    """The fields of a webhook."""

    name = Name(max_length=200, help_text="Purpose of the webhook, for people.")
    owner = serializers.SerializerMethodField(
        help_text="Name of the owning account: its run events are sent."
    )
    suspended_reason = serializers.SerializerMethodField(
        help_text="Reason why the owning account gets no messages at the moment; empty if it does."
    )
    events = TextList(
        child=fields.Choice(choices=RunEvent.Kind.choices),
        default=list,
        help_text="Event types to receive; empty for all.",
    )

    class Meta:
        model = Webhook
        fields: ClassVar[tuple[str, ...]] = (
            "id",
            "owner",
            "name",
            "url",
            "events",
            "label",
            "enabled",
            "disabled_at",
            "disabled_reason",
            "suspended_reason",
            "previous_until",
            "created_at",
        )
        read_only_fields = ("disabled_at", "disabled_reason", "previous_until", "created_at")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "url": {
                "help_text": "URL that receives messages by POST: `https://…` or `http://…`, at a "
                "public address."
            },
            "label": {
                "help_text": "Label selector of periodic tasks, as in the filter `label`: "
                "`team=billing,tier=1`; empty for all."
            },
            "previous_until": {
                "help_text": "Time until which the previous secret also signs; null for none."
            },
            "created_at": {"help_text": "Time of creation."},
        }

    def to_internal_value(self, data: Any) -> Any:
        """Accept the response to a new webhook as a request; its secret is ignored."""
        if isinstance(data, Mapping):
            data = {name: value for name, value in data.items() if name != "secret"}
        return super().to_internal_value(data)

    def get_owner(self, webhook: Webhook) -> str:
        """Return the name of the owning account."""
        return webhook.owner.name

    def get_suspended_reason(self, webhook: Any) -> str:
        """Return why no messages are sent; the view has annotated the webhook."""
        return suspension_reason(webhook.owner, has_live_key=webhook.owner_has_live_key)

    def validate_url(self, url: str) -> str:
        """Refuse an address that must not be called. A host may be unresolvable for now."""
        try:
            destination = parse_url(url)
            with suppress(Unresolvable):
                addresses_of(destination, timeout_seconds=RESOLVE_TIMEOUT_SECONDS)
        except AddressRefused as error:
            raise ValidationError([ErrorDetail(str(error), error.code)]) from error
        return url

    def validate_label(self, label: str) -> str:
        """Refuse an invalid label selector."""
        for key, _ in parse_selector(label):
            if not KEY.fullmatch(key):
                detail = f"{key!r} is not a valid label key: write team=billing,tier=1."
                raise ValidationError([ErrorDetail(detail, "invalid_label")])
        return label


@extend_schema_serializer(
    examples=examples("Alerts", REQUEST, changed="events", answer=ANSWER), component_name="Webhook"
)
class WebhookSerializer(WebhookFields):
    """A URL that receives the run events of an account."""


@extend_schema_serializer(
    examples=[
        OpenApiExample("Alerts", REQUEST, request_only=True),
        OpenApiExample("Alerts", {**ANSWER, "secret": SECRET_EXAMPLE}, response_only=True),
    ],
    component_name="NewWebhook",
)
class NewWebhookSerializer(WebhookFields):
    """A new webhook with its secret, which is shown only once."""

    secret = serializers.CharField(
        read_only=True,
        help_text="Secret that signs the messages; it is not shown again.",
    )

    class Meta(WebhookFields.Meta):
        fields: ClassVar[tuple[str, ...]] = (*WebhookFields.Meta.fields, "secret")


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Secret",
            {"secret": SECRET_EXAMPLE, "previous_until": "2027-03-29T01:00:00Z"},
            response_only=True,
        )
    ]
)
class NewSecretSerializer(StrictSerializer):
    """The new secret of a webhook, which is shown only once."""

    secret = serializers.CharField(
        read_only=True,
        allow_null=True,
        help_text="Secret that signs messages from now on; it is not shown again. Null in a dry "
        "run.",
    )
    previous_until = fields.Instant(
        read_only=True, help_text="Time until which the previous secret also signs."
    )


@extend_schema_serializer(examples=[OpenApiExample("A ping", DELIVERY, response_only=True)])
class DeliverySerializer(StrictModelSerializer):
    """A message about an event to a webhook, and the result of its attempts."""

    webhook = fields.Reference(read_only=True, help_text="ID of the webhook.")
    run = serializers.UUIDField(
        source="run_id",
        read_only=True,
        allow_null=True,
        help_text="ID of the run that the event is about; null for a ping.",
    )

    class Meta:
        model = Delivery
        fields: ClassVar[tuple[str, ...]] = (
            "id",
            "webhook",
            "event_id",
            "type",
            "run",
            "state",
            "attempts",
            "next_attempt_at",
            "last_status",
            "last_error",
            "created_at",
            "delivered_at",
        )
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "state": {"help_text": "State: `pending`, `delivered` or `dead` (given up)."},
            "next_attempt_at": {
                "help_text": "Time of the next attempt; null once delivered or dead."
            },
            "created_at": {"help_text": "Time of creation."},
            "delivered_at": {"help_text": "Time of delivery; null until then."},
        }


@extend_schema_serializer(
    examples=[
        OpenApiExample("A ping", FULL_DELIVERY, response_only=True, status_codes=["200", "202"])
    ]
)
class DeliveryDetailSerializer(DeliverySerializer):
    """A message about an event to a webhook, with its payload and the result of its attempts."""

    payload = serializers.SerializerMethodField(help_text="Body of the message.")

    class Meta(DeliverySerializer.Meta):
        fields = (*DeliverySerializer.Meta.fields, "payload")
        read_only_fields = fields

    @extend_schema_field({"type": "object", "additionalProperties": {}})
    def get_payload(self, delivery: Delivery) -> Any:
        """Return the body of the message."""
        return json.loads(delivery.payload)
