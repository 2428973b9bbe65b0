"""How long is kept what was told."""

from datetime import datetime, timedelta

from scheduler_api.webhooks.models import Delivery

BATCH = 5_000
MAX_BATCHES = 100


def prune(*, at: datetime, older_than: timedelta) -> int:
    """Delete deliveries that are too old, in short transactions; return how many.

    What waits for a webhook that is disabled goes, too.
    """
    old = Delivery.objects.filter(created_at__lt=at - older_than).order_by("created_at")
    removed = 0
    for _ in range(MAX_BATCHES):
        batch = list(old.values_list("pk", flat=True)[:BATCH])
        Delivery.objects.filter(pk__in=batch).delete()
        removed += len(batch)
        if len(batch) < BATCH:
            break
    return removed
