"""What a sender does with deliveries in the database: it takes what is due, and notes the end.

Nothing is locked while a message is on its way. Who takes a delivery moves its `next_attempt_at`
on, beyond the time that sending may take: if the sender dies, another takes it then. So a message
may arrive twice, under the same id.
"""

import random
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Min

from scheduler_api.webhooks import signing
from scheduler_api.webhooks.concurrency import Room
from scheduler_api.webhooks.models import Delivery, DeliveryQuerySet, Webhook
from scheduler_api.webhooks.retry_policy import Outcome, Verdict, delay_after, judge

# Longer than an attempt may take (sender.SEND_SECONDS), and than the database may be away.
LEASE = timedelta(seconds=60)
MAX_ERROR_LENGTH = 500
GONE = "Its receiver answered 410 Gone: it wants no more."
FAILED_FOR_LONG = "Nothing has arrived for two days; the last try: {error}"
KEY_IS_ANOTHER = (
    "SECRET_KEY is not the one that made its secret, nor is any of SECRET_KEY_FALLBACKS: "
    "rotate the secret, then enable it."
)


def due(now: datetime) -> DeliveryQuerySet:
    """Select what is to be sent."""
    return Delivery.objects.pending().filter(next_attempt_at__lte=now, webhook__enabled=True)


def take(now: datetime, *, room: Room) -> list[Delivery]:
    """Take what is due, of each webhook no more than it has room for, who waits longest first.

    What another process takes is passed over.
    """
    waiting = due(now).exclude(webhook_id__in=room.full())
    if room.left() < 1 or not waiting.exists():  # nothing is locked, as most often
        return []
    with transaction.atomic():
        webhooks = (
            waiting.values("webhook_id")
            .annotate(first_at=Min("next_attempt_at"))
            .order_by("first_at", "webhook_id")
            .values_list("webhook_id", flat=True)
        )
        taken: list[Delivery] = []
        for webhook_id in webhooks[: room.left()]:
            of_this = due_of(webhook_id, now, most=min(room.left_for(webhook_id), room.left()))
            for _ in of_this:
                room.enter(webhook_id)
            taken += of_this
        rows = Delivery.objects.filter(pk__in=[delivery.pk for delivery in taken])
        rows.update(attempts=F("attempts") + 1, next_attempt_at=now + LEASE)
    for delivery in taken:
        delivery.attempts += 1
    return taken


def due_of(webhook_id: int, now: datetime, *, most: int) -> list[Delivery]:
    """Return some of what is to be sent to a webhook, locked until the transaction ends."""
    rows = due(now).filter(webhook_id=webhook_id).select_related("webhook")
    locked = rows.select_for_update(skip_locked=True, of=("self",))
    return list(locked.order_by("next_attempt_at", "pk")[: max(most, 0)])


@transaction.atomic
def note(delivery: Delivery, outcome: Outcome, *, now: datetime) -> Verdict:
    """Write down what has come of an attempt; of one that is not the last any more, nothing."""
    verdict = judge(outcome, attempts=delivery.attempts)
    columns: dict[str, object] = {
        "last_status": outcome.status,
        "last_error": outcome.error[:MAX_ERROR_LENGTH],
        "next_attempt_at": None,
    }
    match verdict:
        case Verdict.DELIVERED:
            columns |= {"state": Delivery.State.DELIVERED, "delivered_at": now}
        case Verdict.AGAIN:
            rng = random.Random()  # noqa: S311 - no secret
            delay = delay_after(outcome, attempts=delivery.attempts, rng=rng)
            columns |= {"next_attempt_at": now + delay}
        case _:
            columns |= {"state": Delivery.State.DEAD}
    this_attempt = Delivery.objects.pending().filter(pk=delivery.pk, attempts=delivery.attempts)
    if not this_attempt.update(**columns):
        return verdict
    if verdict is Verdict.GONE:
        disable(delivery.webhook_id, GONE, now=now)
    if verdict is Verdict.DEAD and not arrived_since(delivery):
        disable(delivery.webhook_id, FAILED_FOR_LONG.format(error=outcome.error), now=now)
    return verdict


def arrived_since(delivery: Delivery) -> bool:
    """Tell whether anything has arrived at the webhook since this was to be sent."""
    others = Delivery.objects.filter(webhook_id=delivery.webhook_id)
    return others.filter(delivered_at__gte=delivery.created_at).exists()


def disable(webhook_id: int, reason: str, *, now: datetime) -> None:
    """Call a webhook no more, until somebody enables it; what waits for it waits on."""
    Webhook.objects.filter(pk=webhook_id, enabled=True).update(
        enabled=False, disabled_at=now, disabled_reason=reason[:MAX_ERROR_LENGTH]
    )


def secrets_for(webhook: Webhook, *, now: datetime) -> list[str]:
    """Return what signs a message: the secret, and the one before it for some time."""
    found = [signing.restored(webhook.salt, webhook.key_id)]
    if webhook.previous_until and now < webhook.previous_until:
        found.append(signing.restored(webhook.previous_salt, webhook.previous_key_id))
    return [secret for secret in found if secret]
