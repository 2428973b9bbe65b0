"""Webhooks and their deliveries."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from scheduler_api.access.models import ServiceAccount
from scheduler_api.outbound.address_guard import MAX_URL_LENGTH
from scheduler_api.periodic_tasks.labels import matches_selector
from scheduler_api.webhooks import signing

MAX_LABEL_LENGTH = 1000


class Webhook(models.Model):
    """A URL that receives the run events of an account.

    The secret is not stored: it is computed from SECRET_KEY and the salt (`signing`).
    """

    owner = models.ForeignKey(
        ServiceAccount,
        on_delete=models.CASCADE,
        related_name="webhooks",
        help_text="Owning account: its run events are sent.",
    )
    name = models.CharField(max_length=200, help_text="Purpose of the webhook, for people.")
    url = models.CharField(max_length=MAX_URL_LENGTH, help_text="URL that receives the messages.")
    events = models.JSONField(default=list, help_text="Event types to receive; empty for all.")
    label = models.CharField(
        max_length=MAX_LABEL_LENGTH,
        default="",
        blank=True,
        help_text="Label selector of periodic tasks; empty for all.",
    )
    enabled = models.BooleanField(default=True, help_text="Whether messages are sent.")
    disabled_at = models.DateTimeField(
        null=True,
        help_text="Time when failures disabled the webhook; null otherwise.",
    )
    disabled_reason = models.TextField(
        default="", help_text="Reason for `disabled_at`, for people."
    )
    salt = models.CharField(max_length=64)
    key_id = models.CharField(max_length=16, help_text="Identifies the SECRET_KEY of the secret.")
    previous_salt = models.CharField(max_length=64, default="")
    previous_key_id = models.CharField(max_length=16, default="")
    previous_until = models.DateTimeField(
        null=True, help_text="Time until which the previous secret also signs."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = models.Manager["Webhook"]()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.name

    def renew_secret(self) -> str:
        """Set a new salt, without saving it; return the new secret."""
        self.salt, self.key_id, secret = signing.new_secret()
        return secret

    def signing_secrets(self, *, now: datetime) -> list[str]:
        """Return the secrets that sign a message: the current one, and for a time the previous."""
        secrets = [signing.restore_secret(self.salt, self.key_id)]
        if self.previous_until and now < self.previous_until:
            secrets.append(signing.restore_secret(self.previous_salt, self.previous_key_id))
        return [secret for secret in secrets if secret]

    def subscribes_to(self, kind: str, labels: dict[str, str]) -> bool:
        """Return whether it receives this event of a periodic task with these labels."""
        return (not self.events or kind in self.events) and matches_selector(labels, self.label)


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Selections of deliveries."""

    def pending(self) -> Self:
        """Select the pending deliveries."""
        return self.filter(state=Delivery.State.PENDING)


class Delivery(models.Model):
    """A message about one event to one webhook, and the result of its attempts."""

    class State(models.TextChoices):
        """The state of a delivery."""

        PENDING = "pending"
        DELIVERED = "delivered"
        DEAD = "dead"

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event_id = models.CharField(
        max_length=40,
        help_text="ID of the message, sent as `webhook-id` in each attempt.",
    )
    type = models.CharField(max_length=32, help_text="Event type.")
    run_id = models.UUIDField(null=True, help_text="Run of the event; null without one.")
    payload = models.TextField(help_text="The exact body: the signature covers its bytes.")
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(
        default=0,
        help_text="Number of attempts since the latest request to send it.",
    )
    next_attempt_at = models.DateTimeField(
        null=True,
        help_text="Time of the next attempt. During an attempt: time when another sender may "
        "claim the delivery. Null once delivered or dead.",
    )
    last_status = models.PositiveSmallIntegerField(
        null=True, help_text="HTTP status of the latest response; null without one."
    )
    last_error = models.TextField(default="", help_text="Error of the latest attempt, for people.")
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True, help_text="Time of arrival.")

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state="pending"),
                name="deliveries_pending",
            ),
            models.Index(fields=["webhook", "-id"], name="deliveries_by_webhook"),
            models.Index(fields=["state", "-id"], name="deliveries_by_state"),
            models.Index(fields=["created_at"], name="deliveries_by_created_at"),
        ]

    def __str__(self) -> str:
        return f"{self.type} to {self.webhook_id}: {self.state}"
