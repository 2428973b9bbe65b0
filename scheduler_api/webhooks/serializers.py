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
from scheduler_api.http.serializers import StrictModelSerializer, StrictSerializer
from scheduler_api.openapi.bodies import examples
from scheduler_api.outbound.address_guard import Refused, Unresolvable, addresses_of, read_url
from scheduler_api.periodic_tasks.labels import KEY, parse_selector
from scheduler_api.runs.events import RunEvent
from scheduler_api.webhooks.models import Delivery, Webhook
from scheduler_api.webhooks.payloads import PING

# A caller waits for it; who sends asks again, and more patiently.
RESOLVE_SECONDS = 2
SECRET_EXAMPLE = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw4kcHDqXnJvM="  # noqa: S105 - of nothing

SENT: dict[str, Any] = {
    "name": "Alerts",
    "url": "https://hooks.example.com/scheduler",
    "events": ["run.failed", "run.recovered"],
    "label": "team=billing",
}
ANSWER: dict[str, Any] = {
    "id": 1,
    "owner": "crm",
    **SENT,
    "enabled": True,
    "disabled_at": None,
    "disabled_reason": "",
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
WHOLE_DELIVERY: dict[str, Any] = {
    **DELIVERY,
    "payload": {"type": PING, "timestamp": "2027-03-28T01:00:00Z", "data": {"webhook": 1}},
}


class WebhookFields(StrictModelSerializer):
    """What can be written of a webhook, and what is told of it."""

    owner = serializers.SerializerMethodField(help_text="The account of whose runs it hears.")
    events = TextList(
        child=fields.Choice(choices=RunEvent.Kind.choices),
        default=list,
        help_text="What it hears of; empty for all.",
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
            "previous_until",
            "created_at",
        )
        read_only_fields = ("disabled_at", "disabled_reason", "previous_until", "created_at")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "url": {
                "help_text": "Where it is called, by POST: `https://…` or `http://…`, at a public "
                "address."
            },
            "label": {
                "help_text": "The labels of the periodic tasks of which it hears, as the filter "
                "`label` takes them: `team=billing,tier=1`; empty for all."
            },
            "previous_until": {
                "help_text": "Until when the secret before this one signs, too; null for none."
            },
            "created_at": {"help_text": "When it was made."},
        }

    def to_internal_value(self, data: Any) -> Any:
        """Take back what a new webhook was answered with: the secret, too, is not used."""
        if isinstance(data, Mapping):
            data = {name: value for name, value in data.items() if name != "secret"}
        return super().to_internal_value(data)

    def get_owner(self, webhook: Webhook) -> str:
        """Return the name of the account whose it is."""
        return webhook.owner.name

    def validate_url(self, url: str) -> str:
        """Refuse what may not be called; that a host cannot be resolved now may pass."""
        try:
            destination = read_url(url)
            with suppress(Unresolvable):
                addresses_of(destination, within=RESOLVE_SECONDS)
        except Refused as error:
            raise ValidationError([ErrorDetail(str(error), error.code)]) from error
        return url

    def validate_label(self, label: str) -> str:
        """Refuse what no label can be."""
        for key, _ in parse_selector(label):
            if not KEY.fullmatch(key):
                detail = f"{key!r} cannot be the key of a label: write team=billing,tier=1."
                raise ValidationError([ErrorDetail(detail, "invalid_label")])
        return label


@extend_schema_serializer(
    examples=examples("Alerts", SENT, changed="events", answer=ANSWER), component_name="Webhook"
)
class WebhookSerializer(WebhookFields):
    """An address that hears of an account's runs."""


@extend_schema_serializer(
    examples=[
        OpenApiExample("Alerts", SENT, request_only=True),
        OpenApiExample("Alerts", {**ANSWER, "secret": SECRET_EXAMPLE}, response_only=True),
    ],
    component_name="NewWebhook",
)
class NewWebhookSerializer(WebhookFields):
    """A webhook with its secret, which is told this once."""

    secret = serializers.CharField(
        read_only=True, help_text="What signs its messages: keep it, now."
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
    """The new secret of a webhook, which is told this once."""

    secret = serializers.CharField(
        read_only=True,
        allow_null=True,
        help_text="What signs its messages from now on: keep it, now. Null in a dry run.",
    )
    previous_until = fields.Instant(
        read_only=True, help_text="Until when the secret before it signs, too."
    )


@extend_schema_serializer(examples=[OpenApiExample("A ping", DELIVERY, response_only=True)])
class DeliverySerializer(StrictModelSerializer):
    """What a webhook is told of one event, and what has come of that."""

    webhook = fields.Reference(read_only=True, help_text="The id of the webhook.")
    run = serializers.UUIDField(
        source="run_id",
        read_only=True,
        allow_null=True,
        help_text="The run of which it tells; null for a ping.",
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
            "state": {"help_text": "Where it stands: `pending`, `delivered` or `dead`."},
            "next_attempt_at": {
                "help_text": "When it is sent, again if need be; null when it is over."
            },
            "created_at": {"help_text": "When it was made."},
            "delivered_at": {"help_text": "When it arrived; null before."},
        }


@extend_schema_serializer(
    examples=[
        OpenApiExample("A ping", WHOLE_DELIVERY, response_only=True, status_codes=["200", "202"])
    ]
)
class WholeDeliverySerializer(DeliverySerializer):
    """What a webhook is told of one event, to the word, and what has come of that."""

    payload = serializers.SerializerMethodField(help_text="The body, as it is sent.")

    class Meta(DeliverySerializer.Meta):
        fields = (*DeliverySerializer.Meta.fields, "payload")
        read_only_fields = fields

    @extend_schema_field({"type": "object", "additionalProperties": {}})
    def get_payload(self, delivery: Delivery) -> Any:
        """Return the body."""
        return json.loads(delivery.payload)
