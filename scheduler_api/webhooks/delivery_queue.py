"""The queue of deliveries in the database: claiming due ones and recording attempts.

No row is locked while a request is in flight. A claim moves `next_attempt_at` beyond the time that
an attempt may take: if the sender dies, another sender claims the delivery then. So a message may
arrive twice, under the same id.
"""

import random
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, F, Min

from scheduler_api.webhooks.concurrency import Backlog, ConcurrencyLimit, Recipient, share
from scheduler_api.webhooks.models import Delivery, DeliveryQuerySet, Webhook
from scheduler_api.webhooks.retry_policy import (
    AttemptResult,
    DeliveryDecision,
    decide,
    delay_after,
)
from scheduler_api.webhooks.suspension import without_suspended

# Longer than an attempt may take (sender.SEND_TIMEOUT_SECONDS) plus an outage of the database.
CLAIM_LEASE = timedelta(seconds=60)
MAX_ERROR_LENGTH = 500
GONE_REASON = "The receiver answered 410 Gone."
FAILING_REASON = "No delivery has arrived for two days. Latest error: {error}"
UNREADABLE_REASON = (
    "The secret was created under another SECRET_KEY, which is not in SECRET_KEY_FALLBACKS: "
    "rotate the secret, then enable the webhook."
)


def due(now: datetime) -> DeliveryQuerySet:
    """Select the deliveries that are due."""
    return Delivery.objects.pending().filter(next_attempt_at__lte=now, webhook__enabled=True)


def claim_due(now: datetime, *, limit: ConcurrencyLimit) -> list[Delivery]:
    """Claim due deliveries, shared fairly among the owners of webhooks.

    Deliveries locked by another sender are skipped, and so are those of suspended webhooks.
    """
    if limit.left() < 1 or not due(now).exists():  # the usual case: takes no locks
        return []
    shares = share(backlogs(now), limit)
    if not shares:
        return []
    with transaction.atomic():
        claimed: list[Delivery] = []
        for recipient, count in shares.items():
            claimed += lock_due(recipient.webhook_id, now, count=count)
        rows = Delivery.objects.filter(pk__in=[delivery.pk for delivery in claimed])
        rows.update(attempts=F("attempts") + 1, next_attempt_at=now + CLAIM_LEASE)
    for delivery in claimed:
        delivery.attempts += 1
    return claimed


def backlogs(now: datetime) -> list[Backlog]:
    """Return the due deliveries of each webhook that is not suspended."""
    groups = list(
        due(now)
        .values("webhook__owner_id", "webhook_id")
        .annotate(count=Count("pk"), first_at=Min("next_attempt_at"))
        .values_list("webhook__owner_id", "webhook_id", "count", "first_at")
    )
    owners = without_suspended((owner_id for owner_id, *_ in groups), at=now)
    return [
        Backlog(recipient=Recipient(owner_id, webhook_id), count=count, first_at=first_at)
        for owner_id, webhook_id, count, first_at in groups
        if owner_id in owners
    ]


def lock_due(webhook_id: int, now: datetime, *, count: int) -> list[Delivery]:
    """Lock and return up to `count` due deliveries to a webhook."""
    rows = due(now).filter(webhook_id=webhook_id).select_related("webhook")
    locked = rows.select_for_update(skip_locked=True, of=("self",))
    return list(locked.order_by("next_attempt_at", "pk")[:count])


@transaction.atomic
def record_attempt(
    delivery: Delivery, result: AttemptResult, *, now: datetime
) -> DeliveryDecision:
    """Record the result of an attempt, unless a later attempt has started since."""
    decision = decide(result, attempts=delivery.attempts)
    columns: dict[str, object] = {
        "last_status": result.status,
        "last_error": result.error[:MAX_ERROR_LENGTH],
        "next_attempt_at": None,
    }
    match decision:
        case DeliveryDecision.DELIVERED:
            columns |= {"state": Delivery.State.DELIVERED, "delivered_at": now}
        case DeliveryDecision.RETRY:
            rng = random.Random()  # noqa: S311 - no secret
            delay = delay_after(result, attempts=delivery.attempts, rng=rng)
            columns |= {"next_attempt_at": now + delay}
        case _:
            columns |= {"state": Delivery.State.DEAD}
    this_attempt = Delivery.objects.pending().filter(pk=delivery.pk, attempts=delivery.attempts)
    if not this_attempt.update(**columns):
        return decision
    if decision is DeliveryDecision.GONE:
        disable(delivery.webhook_id, GONE_REASON, now=now)
    if decision is DeliveryDecision.DEAD and not has_arrival_since(delivery):
        disable(delivery.webhook_id, FAILING_REASON.format(error=result.error), now=now)
    return decision


def has_arrival_since(delivery: Delivery) -> bool:
    """Return whether any delivery to the webhook arrived after this one was created."""
    others = Delivery.objects.filter(webhook_id=delivery.webhook_id)
    return others.filter(delivered_at__gte=delivery.created_at).exists()


def disable(webhook_id: int, reason: str, *, now: datetime) -> None:
    """Disable a webhook until a caller enables it; its pending deliveries stay pending."""
    Webhook.objects.filter(pk=webhook_id, enabled=True).update(
        enabled=False, disabled_at=now, disabled_reason=reason[:MAX_ERROR_LENGTH]
    )
