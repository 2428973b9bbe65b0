"""Webhooks, and what is sent to them."""

from typing import Self

from django.db import models
from django.db.models import Q

from scheduler_api.access.models import ServiceAccount
from scheduler_api.outbound.address_guard import MAX_URL_LENGTH
from scheduler_api.periodic_tasks.labels import matches_selector
from scheduler_api.webhooks import signing

MAX_LABEL_LENGTH = 1000


class Webhook(models.Model):
    """An address that is to hear of an account's runs.

    Its secret is not stored: it is made, each time, from SECRET_KEY and the salt (`signing`).
    """

    owner = models.ForeignKey(
        ServiceAccount,
        on_delete=models.CASCADE,
        related_name="webhooks",
        help_text="The account of whose runs it hears.",
    )
    name = models.CharField(max_length=200, help_text="What it is for, for people.")
    url = models.CharField(max_length=MAX_URL_LENGTH, help_text="Where it is called.")
    events = models.JSONField(default=list, help_text="What it hears of; empty for all.")
    label = models.CharField(
        max_length=MAX_LABEL_LENGTH,
        default="",
        blank=True,
        help_text="The labels of the periodic tasks of which it hears; empty for all.",
    )
    enabled = models.BooleanField(default=True, help_text="Whether it is called.")
    disabled_at = models.DateTimeField(
        null=True, help_text="When it was disabled because it failed; null where it was not."
    )
    disabled_reason = models.TextField(default="", help_text="Why it was disabled, for people.")
    salt = models.CharField(max_length=64)
    key_id = models.CharField(max_length=16, help_text="Tells which SECRET_KEY made the secret.")
    previous_salt = models.CharField(max_length=64, default="")
    previous_key_id = models.CharField(max_length=16, default="")
    previous_until = models.DateTimeField(
        null=True, help_text="Until when the secret before this one signs, too."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = models.Manager["Webhook"]()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.name

    def take_new_secret(self) -> str:
        """Take another salt, and return the secret that it makes; nothing is saved."""
        self.salt, self.key_id, secret = signing.make()
        return secret

    def wants(self, kind: str, labels: dict[str, str]) -> bool:
        """Tell whether it is to hear of what has happened to a periodic task with these labels."""
        return (not self.events or kind in self.events) and matches_selector(labels, self.label)


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Selections of deliveries."""

    def pending(self) -> Self:
        """Select those that are to be sent."""
        return self.filter(state=Delivery.State.PENDING)


class Delivery(models.Model):
    """What a webhook is told of one event, and what has come of that."""

    class State(models.TextChoices):
        """Where it stands."""

        PENDING = "pending"
        DELIVERED = "delivered"
        DEAD = "dead"

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event_id = models.CharField(
        max_length=40, help_text="The `webhook-id`, the same each time that it is sent."
    )
    type = models.CharField(max_length=32, help_text="What it tells of.")
    run_id = models.UUIDField(null=True, help_text="The run of which it tells; null for none.")
    payload = models.TextField(help_text="The body, to the byte: what is sent is what is signed.")
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(
        default=0, help_text="How often it was sent, since somebody last asked for it."
    )
    next_attempt_at = models.DateTimeField(
        null=True,
        help_text="When to send it, again if need be; while it is being sent, when to give up "
        "hope of the sender. Null when it is over.",
    )
    last_status = models.PositiveSmallIntegerField(
        null=True, help_text="The status of the last answer; null without one."
    )
    last_error = models.TextField(default="", help_text="Why it did not arrive, the last time.")
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True, help_text="When it arrived.")

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
