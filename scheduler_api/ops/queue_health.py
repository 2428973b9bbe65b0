"""The state of the queues, as beat and the workers have found them."""

from datetime import datetime

from scheduler_api.broker.queue_mismatches import mismatch_from
from scheduler_api.catalogue.queue_workers import queue_workers
from scheduler_api.ops.beat_health import SILENT_AFTER
from scheduler_api.scheduler.models import BeatHeartbeat


def queue_problems(now: datetime) -> list[str]:
    """Return a sentence for each problem of a queue; only of running beats and workers.

    The API does not ask RabbitMQ: it would have to declare the queues, and so could create one
    that somebody is about to replace.
    """
    live = queue_workers()
    beats = BeatHeartbeat.objects.filter(ticked_at__gte=now - SILENT_AFTER)
    stored = [
        *(each for row in beats.values_list("queue_mismatches", flat=True) for each in row),
        *live.mismatches(),
    ]
    # Several processes report the same.
    mismatches = {str(mismatch_from(each)) for each in stored}
    return [*sorted(mismatches), *live.problems()]
