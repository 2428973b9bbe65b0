"""Webhooks over HTTP, and what was sent to them."""

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
    DeliverySerializer,
    NewSecretSerializer,
    NewWebhookSerializer,
    WebhookSerializer,
    WholeDeliverySerializer,
)


class WebhookViewSet(CrudViewSet):
    """Addresses that hear of the runs of the caller's periodic tasks."""

    resource = "webhook"
    tag = "Webhooks"
    queryset = Webhook.objects.select_related("owner")
    serializer_class = WebhookSerializer
    filterset_class = WebhookFilter
    ordering_fields = ("id", "name", "created_at")
    volatile_fields = frozenset({"secret", "disabled_at", "disabled_reason"})
    scopes: ClassVar = {
        **crud(read=Scope.WEBHOOKS_READ, write=Scope.WEBHOOKS_WRITE),
        **dict.fromkeys(("rotate", "ping"), Scope.WEBHOOKS_WRITE),
    }
    problems: ClassVar = {
        "create": (actions.TooManyWebhooks,),
        "ping": (actions.WebhookDisabled,),
    }
    secret_answers: ClassVar = frozenset({"create", "rotate"})
    made_when_stored = ("id", "secret")

    def get_queryset(self) -> QuerySet[Any]:
        """Return the webhooks that the caller may see."""
        return super().get_queryset().filter(visible_to(account_of(self.request), owner="owner"))

    @extend_schema(request=NewWebhookSerializer, responses={201: NewWebhookSerializer})
    def create(self, request: Request) -> Response:
        """Make a webhook. This answer alone has its secret."""
        serializer = NewWebhookSerializer(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        webhook = Webhook(**serializer.validated_data)
        webhook.secret = actions.create_webhook(webhook, by=caller_of(request))  # type: ignore[attr-defined]
        return self.answer_created(webhook.pk, NewWebhookSerializer(webhook).data)

    def store(self, serializer: Any) -> Webhook:
        """Change the webhook that the serializer was given."""
        webhook: Webhook = serializer.instance
        for field, value in serializer.validated_data.items():
            setattr(webhook, field, value)
        actions.change_webhook(webhook, by=caller_of(self.request))
        return webhook

    def remove(self, row: Webhook) -> None:
        """Delete a webhook, and its deliveries."""
        actions.delete_webhook(row, by=caller_of(self.request))

    @extend_schema(request=None, responses=NewSecretSerializer)
    @action(detail=True, methods=["post"])
    @transaction.atomic
    def rotate(self, request: Request, **address: str) -> Response:
        """Give a webhook another secret.

        This answer alone has it. For 24 hours, messages are signed with the one before it, too:
        give the new one to the receiver by then. If that one is known to others, rotate twice.
        """
        webhook = self.locked_object()
        secret = actions.rotate_secret(webhook, now=datetime.now(UTC), by=caller_of(request))
        told = NewSecretSerializer(
            {"secret": secret, "previous_until": webhook.previous_until}
        ).data
        if self.is_dry_run:
            return Response({**told, "secret": None})
        # Where a repeat under the same Idempotency-Key, which is not told the secret, is sent.
        address_of = reverse("webhook-detail", args=[webhook.pk], request=request)
        return Response(told, headers={"Location": address_of})

    @extend_schema(request=None, responses={202: WholeDeliverySerializer})
    @action(detail=True, methods=["post"])
    def ping(self, request: Request, **address: str) -> Response:
        """Send a webhook a message that tells of nothing.

        Its type is `webhook.ping`, whatever the webhook hears of otherwise. The answer is the
        delivery; what has come of it is seen at its address.
        """
        delivery = actions.ping(self.get_object(), now=datetime.now(UTC), by=caller_of(request))
        told = WholeDeliverySerializer(delivery).data
        if self.is_dry_run:
            return Response({**told, "id": None})
        address_of = reverse("delivery-detail", args=[delivery.pk], request=request)
        return Response(told, status.HTTP_202_ACCEPTED, headers={"Location": address_of})


class DeliveryViewSet(ListRetrieveViewSet):
    """What was sent to webhooks, and what has come of it, the newest first."""

    resource = "delivery"
    tag = "Webhooks"
    queryset = Delivery.objects.all()
    filterset_class = DeliveryFilter
    ordering_fields = ("-id",)
    scopes: ClassVar = {
        **dict.fromkeys(("list", "retrieve"), Scope.WEBHOOKS_READ),
        "redeliver": Scope.WEBHOOKS_WRITE,
    }
    problems: ClassVar = {"redeliver": (actions.WebhookDisabled,)}

    def get_queryset(self) -> QuerySet[Any]:
        """Return the deliveries to the webhooks that the caller may see."""
        account = account_of(self.request)
        rows = super().get_queryset().filter(visible_to(account, owner="webhook__owner"))
        return rows.defer("payload") if self.action == "list" else rows

    def get_serializer_class(self) -> type[DeliverySerializer]:
        """Return what a delivery by itself tells, or one in a list."""
        return DeliverySerializer if self.action == "list" else WholeDeliverySerializer

    @extend_schema(request=None, responses=WholeDeliverySerializer)
    @action(detail=True, methods=["post"])
    def redeliver(self, request: Request, **address: str) -> Response:
        """Send a message again, at once.

        Whatever has come of it so far: `dead`, `delivered`, or waiting for its next attempt. It
        keeps its `webhook-id`, and has all the attempts of a new one.
        """
        delivery = self.get_object()
        actions.redeliver(delivery, now=datetime.now(UTC), by=caller_of(request))
        return Response(self.get_serializer(self.get_object()).data)
