"""Writes to webhooks and deliveries, each in one transaction."""

import uuid
from datetime import datetime, timedelta

from django.db import transaction

from scheduler_api.access.audit import Caller, Operation, record_entry
from scheduler_api.access.models import ServiceAccount
from scheduler_api.http.problems import Problem
from scheduler_api.webhooks.models import Delivery, DeliveryQuerySet, Webhook
from scheduler_api.webhooks.payloads import PING, payload_of
from scheduler_api.webhooks.suspension import suspension_reason

MAX_WEBHOOKS = 20
# Deliveries to one webhook that callers may let wait: a backlog takes threads from all others.
MAX_WAITING_PINGS = 10
MAX_WAITING = 1000
# After a rotation, the previous secret also signs, so that the receiver may switch at any time in
# between.
PREVIOUS_SECRET_LIFETIME = timedelta(hours=24)


class TooManyWebhooks(Problem):
    """The service account has reached its limit of webhooks."""

    status_code = 409
    code = "too_many_webhooks"
    example = {
        "detail": f"The account 'reports' already has {MAX_WEBHOOKS} webhooks, the maximum.",
        "instance": "/api/v1/webhooks/",
    }


class WebhookDisabled(Problem):
    """The webhook is disabled."""

    status_code = 409
    code = "webhook_disabled"
    example = {
        "detail": "Enable the webhook first.",
        "instance": "/api/v1/webhooks/1/ping/",
    }


class WebhookSuspended(Problem):
    """The owning account may not receive messages."""

    status_code = 409
    code = "webhook_suspended"
    example = {
        "detail": "The owning account has no live API key.",
        "instance": "/api/v1/webhooks/1/ping/",
    }


class TooManyWaiting(Problem):
    """Too many deliveries to the webhook wait. Send the request again later."""

    status_code = 409
    code = "too_many_waiting"
    example = {
        "detail": f"{MAX_WAITING_PINGS} pings to the webhook wait already, the maximum.",
        "instance": "/api/v1/webhooks/1/ping/",
    }


@transaction.atomic
def create_webhook(webhook: Webhook, *, by: Caller) -> str:
    """Store a new webhook of the caller; return its secret, which is shown only once."""
    account = by.account
    # The lock keeps two requests from using the same free place.
    ServiceAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    if account.webhooks.count() >= MAX_WEBHOOKS:
        raise TooManyWebhooks(
            f"The account {account.name!r} already has {MAX_WEBHOOKS} webhooks, the maximum."
        )
    webhook.owner = account
    secret = webhook.renew_secret()
    webhook.save()
    record_entry(Operation.CREATE, webhook, by=by, after=webhook_fields(webhook))
    return secret


@transaction.atomic
def change_webhook(webhook: Webhook, *, by: Caller) -> None:
    """Save new values of a webhook; enabling it clears the reason why it was disabled."""
    before = webhook_fields(Webhook.objects.get(pk=webhook.pk))
    if webhook.enabled:
        webhook.disabled_at, webhook.disabled_reason = None, ""
    webhook.save()
    record_entry(Operation.CHANGE, webhook, by=by, before=before, after=webhook_fields(webhook))


@transaction.atomic
def delete_webhook(webhook: Webhook, *, by: Caller) -> None:
    """Delete a webhook and all its deliveries."""
    record_entry(Operation.DELETE, webhook, by=by, before=webhook_fields(webhook))
    webhook.delete()


@transaction.atomic
def rotate_secret(webhook: Webhook, *, now: datetime, by: Caller) -> str:
    """Give a locked webhook a new secret, and return it; the previous one keeps signing."""
    webhook.previous_salt, webhook.previous_key_id = webhook.salt, webhook.key_id
    webhook.previous_until = now + PREVIOUS_SECRET_LIFETIME
    secret = webhook.renew_secret()
    webhook.save()
    record_entry(
        Operation.ROTATE, webhook, by=by, after={"previous_until": webhook.previous_until}
    )
    return secret


@transaction.atomic
def ping(webhook: Webhook, *, now: datetime, by: Caller) -> Delivery:
    """Enqueue a test message to a webhook, unless several wait already."""
    refuse_silent(webhook, now=now)
    pings = lock_pending(webhook).filter(type=PING)
    if pings.count() >= MAX_WAITING_PINGS:
        raise TooManyWaiting(
            f"{MAX_WAITING_PINGS} pings to the webhook wait already, the maximum."
        )
    delivery = Delivery.objects.create(
        webhook=webhook,
        event_id=f"msg_{uuid.uuid4().hex}",
        type=PING,
        payload=payload_of(PING, {"webhook": webhook.pk}, at=now),
        next_attempt_at=now,
        created_at=now,
    )
    record_entry(Operation.PING, webhook, by=by, after={"delivery": delivery.pk})
    return delivery


@transaction.atomic
def redeliver(delivery: Delivery, *, now: datetime, by: Caller) -> None:
    """Enqueue a delivery again, under the same id, with its attempts reset.

    This applies to a delivery in any state, including `pending` and `delivered`.
    """
    refuse_silent(delivery.webhook, now=now)
    others = lock_pending(delivery.webhook).exclude(pk=delivery.pk)
    if others[:MAX_WAITING].count() >= MAX_WAITING:
        raise TooManyWaiting(f"{MAX_WAITING} deliveries to the webhook wait already, the maximum.")
    Delivery.objects.filter(pk=delivery.pk).update(
        state=Delivery.State.PENDING, attempts=0, next_attempt_at=now, delivered_at=None
    )
    record_entry(Operation.REDELIVER, delivery, by=by, after={"event_id": delivery.event_id})


def refuse_silent(webhook: Webhook, *, now: datetime) -> None:
    """Raise WebhookDisabled or WebhookSuspended if the webhook gets no messages."""
    if not webhook.enabled:
        raise WebhookDisabled("Enable the webhook first.")
    owner = webhook.owner
    is_live = owner.api_keys.live(at=now).exists()
    if reason := suspension_reason(owner, has_live_key=is_live):
        raise WebhookSuspended(reason)


def lock_pending(webhook: Webhook) -> DeliveryQuerySet:
    """Lock a webhook, and return its pending deliveries: two requests must not count the same."""
    Webhook.objects.select_for_update(no_key=True).filter(pk=webhook.pk).first()
    return Delivery.objects.pending().filter(webhook=webhook)


def webhook_fields(webhook: Webhook) -> dict[str, object]:
    """Return the fields that the audit log records, without those of the secret."""
    names = ("name", "url", "events", "label", "enabled")
    return {name: getattr(webhook, name) for name in names}
