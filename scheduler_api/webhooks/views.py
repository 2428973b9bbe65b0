"""Webhooks and their deliveries over HTTP."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from scheduler_api.access.ownership import visible_to
from scheduler_api.access.permissions import account_of, caller_of
from scheduler_api.access.scopes import Scope, crud
from scheduler_api.http.viewsets import CrudViewSet, ListRetrieveViewSet
from scheduler_api.webhooks import actions
from scheduler_api.webhooks.filters import DeliveryFilter, WebhookFilter
from scheduler_api.webhooks.models import Delivery, Webhook
from scheduler_api.webhooks.serializers import (
    DeliveryDetailSerializer,
    DeliverySerializer,
    NewSecretSerializer,
    NewWebhookSerializer,
    WebhookSerializer,
)
from scheduler_api.webhooks.suspension import has_live_key


class WebhookViewSet(CrudViewSet):
    """URLs that receive the run events of the caller's periodic tasks."""

    resource = "webhook"
    tag = "Webhooks"
    queryset = Webhook.objects.select_related("owner")
    serializer_class = WebhookSerializer
    filterset_class = WebhookFilter
    ordering_fields = ("id", "name", "created_at")
    volatile_fields = frozenset({"secret", "disabled_at", "disabled_reason", "suspended_reason"})
    scopes: ClassVar = {
        **crud(read=Scope.WEBHOOKS_READ, write=Scope.WEBHOOKS_WRITE),
        **dict.fromkeys(("rotate", "ping"), Scope.WEBHOOKS_WRITE),
    }
    problems: ClassVar = {
        "create": (actions.TooManyWebhooks,),
        "ping": (actions.WebhookDisabled, actions.WebhookSuspended, actions.TooManyWaiting),
    }
    actions_with_secrets: ClassVar = frozenset({"create", "rotate"})
    fields_of_stored_rows = ("id", "secret", "event_id")

    def get_queryset(self) -> QuerySet[Any]:
        """Return the webhooks visible to the caller."""
        own = visible_to(account_of(self.request), owner="owner")
        is_live = has_live_key("owner", at=datetime.now(UTC))
        webhooks = super().get_queryset().filter(own)
        annotated: QuerySet[Any] = webhooks.annotate(owner_has_live_key=is_live)
        return annotated

    @extend_schema(request=NewWebhookSerializer, responses={201: NewWebhookSerializer})
    def create(self, request: Request) -> Response:
        """Create a webhook.

        Only this response contains its secret.
        """
        serializer = NewWebhookSerializer(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        webhook = Webhook(**serializer.validated_data)
        webhook.secret = actions.create_webhook(webhook, by=caller_of(request))  # type: ignore[attr-defined]
        webhook.owner_has_live_key = True  # type: ignore[attr-defined]  # that of this request
        return self.answer_created(webhook.pk, NewWebhookSerializer(webhook).data)

    def store(self, serializer: Any) -> Webhook:
        """Change the webhook of the serializer."""
        webhook: Webhook = serializer.instance
        for field, value in serializer.validated_data.items():
            setattr(webhook, field, value)
        actions.change_webhook(webhook, by=caller_of(self.request))
        return webhook

    def remove(self, row: Webhook) -> None:
        """Delete a webhook and its deliveries."""
        actions.delete_webhook(row, by=caller_of(self.request))

    @extend_schema(request=None, responses=NewSecretSerializer)
    @action(detail=True, methods=["post"])
    @transaction.atomic
    def rotate(self, request: Request, **address: str) -> Response:
        """Rotate the secret of a webhook.

        Only this response contains the new secret. For 24 hours, messages are also signed with
        the previous secret: configure the new one at the receiver by then. If the previous secret
        is compromised, rotate twice.
        """
        webhook = self.locked_object()
        secret = actions.rotate_secret(webhook, now=datetime.now(UTC), by=caller_of(request))
        body = NewSecretSerializer(
            {"secret": secret, "previous_until": webhook.previous_until}
        ).data
        if self.is_dry_run:
            return Response({**body, "secret": None})
        # A repeated request with the same Idempotency-Key gets no secret, but this address.
        address_of = reverse("webhook-detail", args=[webhook.pk], request=request)
        return Response(body, headers={"Location": address_of})

    @extend_schema(request=None, responses={202: DeliveryDetailSerializer})
    @action(detail=True, methods=["post"])
    def ping(self, request: Request, **address: str) -> Response:
        """Send a test message to a webhook.

        Sends a message of the type `webhook.ping`, even if the webhook does not subscribe to it.
        The response is the delivery: get it again to see the result.
        """
        delivery = actions.ping(self.get_object(), now=datetime.now(UTC), by=caller_of(request))
        body = DeliveryDetailSerializer(delivery).data
        if self.is_dry_run:
            return Response({**body, "id": None, "event_id": None})
        address_of = reverse("delivery-detail", args=[delivery.pk], request=request)
        return Response(body, status.HTTP_202_ACCEPTED, headers={"Location": address_of})


class DeliveryViewSet(ListRetrieveViewSet):
    """Deliveries to webhooks, the newest first."""

    resource = "delivery"
    tag = "Webhooks"
    queryset = Delivery.objects.all()
    filterset_class = DeliveryFilter
    ordering_fields = ("-id",)
    scopes: ClassVar = {
        **dict.fromkeys(("list", "retrieve"), Scope.WEBHOOKS_READ),
        "redeliver": Scope.WEBHOOKS_WRITE,
    }
    problems: ClassVar = {
        "redeliver": (actions.WebhookDisabled, actions.WebhookSuspended, actions.TooManyWaiting)
    }

    def get_queryset(self) -> QuerySet[Any]:
        """Return the deliveries to webhooks visible to the caller."""
        account = account_of(self.request)
        rows = super().get_queryset().filter(visible_to(account, owner="webhook__owner"))
        return rows.defer("payload") if self.action == "list" else rows

    def get_serializer_class(self) -> type[DeliverySerializer]:
        """Return the serializer without payload for a list, or the one with payload."""
        return DeliverySerializer if self.action == "list" else DeliveryDetailSerializer

    @extend_schema(request=None, responses=DeliveryDetailSerializer)
    @action(detail=True, methods=["post"])
    def redeliver(self, request: Request, **address: str) -> Response:
        """Send a delivery again.

        The delivery may be in any state. It is sent at once and keeps its `webhook-id`; its
        attempts start anew.
        """
        delivery = self.get_object()
        actions.redeliver(delivery, now=datetime.now(UTC), by=caller_of(request))
        return Response(self.get_serializer(self.get_object()).data)
