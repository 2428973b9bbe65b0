"""Retention of deliveries."""

from datetime import datetime, timedelta

from scheduler_api.webhooks.models import Delivery

BATCH_SIZE = 5_000
MAX_BATCHES = 100


def prune(*, at: datetime, older_than: timedelta) -> int:
    """Delete old deliveries in short transactions; return their number.

    This includes deliveries that are pending because their webhook is disabled.
    """
    old = Delivery.objects.filter(created_at__lt=at - older_than).order_by("created_at")
    removed = 0
    for _ in range(MAX_BATCHES):
        batch = list(old.values_list("pk", flat=True)[:BATCH_SIZE])
        Delivery.objects.filter(pk__in=batch).delete()
        removed += len(batch)
        if len(batch) < BATCH_SIZE:
            break
    return removed
