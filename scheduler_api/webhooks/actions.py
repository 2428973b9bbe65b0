"""Writing webhooks, and asking for deliveries, each in one transaction."""

import uuid
from datetime import datetime, timedelta

from django.db import transaction

from scheduler_api.access.audit import Caller, Operation, note
from scheduler_api.access.models import ServiceAccount
from scheduler_api.http.problems import Problem
from scheduler_api.webhooks.models import Delivery, Webhook
from scheduler_api.webhooks.payloads import PING, payload_of

MAX_WEBHOOKS = 20
# So long the secret before the last signs, too: the receiver need not change at the same moment.
BOTH_SIGN = timedelta(hours=24)


class TooManyWebhooks(Problem):
    """The service account has as many webhooks as one may have."""

    status_code = 409
    code = "too_many_webhooks"
    example = {
        "detail": f"The account 'reports' has {MAX_WEBHOOKS}, and may have no more.",
        "instance": "/api/v1/webhooks/",
    }


class WebhookDisabled(Problem):
    """The webhook is disabled, so nothing is sent to it."""

    status_code = 409
    code = "webhook_disabled"
    example = {
        "detail": "Enable the webhook first.",
        "instance": "/api/v1/webhooks/1/ping/",
    }


@transaction.atomic
def create_webhook(webhook: Webhook, *, by: Caller) -> str:
    """Store a new webhook of the caller's; return its secret, which is told this once."""
    account = by.account
    # Two at the same time do not see the same room.
    ServiceAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    if account.webhooks.count() >= MAX_WEBHOOKS:
        raise TooManyWebhooks(
            f"The account {account.name!r} has {MAX_WEBHOOKS}, and may have no more."
        )
    webhook.owner = account
    secret = webhook.take_new_secret()
    webhook.save()
    note(Operation.CREATE, webhook, by=by, after=webhook_fields(webhook))
    return secret


@transaction.atomic
def change_webhook(webhook: Webhook, *, by: Caller) -> None:
    """Save new values of a webhook; one that is enabled starts anew."""
    before = webhook_fields(Webhook.objects.get(pk=webhook.pk))
    if webhook.enabled:
        webhook.disabled_at, webhook.disabled_reason = None, ""
    webhook.save()
    note(Operation.CHANGE, webhook, by=by, before=before, after=webhook_fields(webhook))


@transaction.atomic
def delete_webhook(webhook: Webhook, *, by: Caller) -> None:
    """Delete a webhook, and all that was sent to it, or was to be."""
    note(Operation.DELETE, webhook, by=by, before=webhook_fields(webhook))
    webhook.delete()


@transaction.atomic
def rotate_secret(webhook: Webhook, *, now: datetime, by: Caller) -> str:
    """Give a webhook, which is locked, another secret, and return it; the last one signs on."""
    webhook.previous_salt, webhook.previous_key_id = webhook.salt, webhook.key_id
    webhook.previous_until = now + BOTH_SIGN
    secret = webhook.take_new_secret()
    webhook.save()
    note(Operation.ROTATE, webhook, by=by, after={"previous_until": webhook.previous_until})
    return secret


@transaction.atomic
def ping(webhook: Webhook, *, now: datetime, by: Caller) -> Delivery:
    """Have a message sent that tells of nothing, to try a webhook with."""
    refuse_disabled(webhook)
    delivery = Delivery.objects.create(
        webhook=webhook,
        event_id=f"msg_{uuid.uuid4().hex}",
        type=PING,
        payload=payload_of(PING, {"webhook": webhook.pk}, at=now),
        next_attempt_at=now,
        created_at=now,
    )
    note(Operation.PING, webhook, by=by, after={"delivery": delivery.pk})
    return delivery


@transaction.atomic
def redeliver(delivery: Delivery, *, now: datetime, by: Caller) -> None:
    """Have a message sent at once, under the same id, with all the attempts of a new one.

    Also one that waits for its next attempt, and one that has arrived.
    """
    refuse_disabled(delivery.webhook)
    Delivery.objects.filter(pk=delivery.pk).update(
        state=Delivery.State.PENDING, attempts=0, next_attempt_at=now, delivered_at=None
    )
    note(Operation.REDELIVER, delivery, by=by, after={"event_id": delivery.event_id})


def refuse_disabled(webhook: Webhook) -> None:
    """Raise WebhookDisabled if nothing would be sent."""
    if not webhook.enabled:
        raise WebhookDisabled("Enable the webhook first.")


def webhook_fields(webhook: Webhook) -> dict[str, object]:
    """Return what the audit tells of a webhook: nothing that signs."""
    names = ("name", "url", "events", "label", "enabled")
    return {name: getattr(webhook, name) for name in names}
