"""How long is kept what was told, and what nobody came to tell."""

from datetime import datetime, timedelta

from scheduler_api.runs.events import RunEvent
from scheduler_api.webhooks.models import Delivery

BATCH = 5_000
MAX_BATCHES = 20


def prune(*, at: datetime, older_than: timedelta) -> int:
    """Delete deliveries, and events that no sender has taken, that are too old; return how many.

    What waits for a webhook that is disabled goes, too.
    """
    before = at - older_than
    removed = 0
    for old in (
        Delivery.objects.filter(created_at__lt=before).order_by("created_at"),
        RunEvent.objects.filter(at__lt=before).order_by("pk"),
    ):
        for _ in range(MAX_BATCHES):
            # A statement of its own each time: nobody waits for it.
            count, _ = old.model.objects.filter(
                pk__in=list(old.values_list("pk", flat=True)[:BATCH])
            ).delete()
            removed += count
            if count < BATCH:
                break
    return removed
