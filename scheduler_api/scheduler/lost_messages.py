"""Find messages that the broker has lost, and republish them under the same id.

If a run is `queued` for long, its message waits in the queue, is held by a worker, or is lost:
with a killed worker, if the broker deletes messages on delivery, or with a RabbitMQ node that came
back empty. A broker cannot be asked for one message. But if the queue is empty, the message does
not wait there, so it is republished. If a worker held it after all, the worker's claim of the run
discards the duplicate. The interval grows with each republication.

The run's state does not change: a message is republished, not a run.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from celery import Celery
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from scheduler_api.backoff import backoff
from scheduler_api.broker.outgoing import Outgoing
from scheduler_api.broker.queue_depths import Depth, QueueDepthProbe
from scheduler_api.catalogue.models import IS_ALIVE, TaskSpec, Worker
from scheduler_api.catalogue.routes import ROUTING, route_of
from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.runs.models import Run
from scheduler_api.scheduler.models import Republication
from scheduler_api.scheduler.store import outgoing

# A run that is queued for this long is suspect: its queue is checked.
CHECK_AFTER = timedelta(seconds=60)
# Back-off between republications of a run: it starts at CHECK_AFTER and doubles.
LONGEST_BACKOFF = timedelta(hours=1)
CHECK_BATCH_SIZE = 2000  # runs
MAX_REPUBLISHED_PER_QUEUE = 500  # runs that have not started since
REPUBLISHED = "The queue was empty and no worker had reported the run: republished the message."

logger = EventLogger(__name__)


def waiting() -> QuerySet[Run]:
    """Select the queued runs that no worker has started; by the index of active runs."""
    queued = Run.objects.filter(ended_as=None, state=Run.State.QUEUED)
    return queued.filter(started_at=None, lease_until=None)


@dataclass(kw_only=True)
class LostMessages:
    """The check for lost messages of one beat.

    `queue_of` returns the queue of a task and its options, or None if it is not known.
    """

    queue_of: Callable[[str, str], str | None]
    depth_probe: QueueDepthProbe
    # The suspect runs by queue, for which the broker was asked for the depth.
    suspects: dict[str, list[UUID]] = field(default_factory=dict)
    # The end of the last check, so that a long queue does not hide the others.
    cursor: tuple[datetime, UUID] | None = None

    def check(self, now: datetime) -> list[Outgoing]:
        """Return runs to republish, and ask for the queue depths of the next suspects."""
        depths = self.depth_probe.take()
        if depths is None:
            return []
        again = self.republish_drained(depths, now) if depths else []
        self.suspects = self.find(now)
        if self.suspects:
            self.depth_probe.ask(self.suspects.keys())
        return again

    def find(self, now: datetime) -> dict[str, list[UUID]]:
        """Return suspect runs by queue: queued for longer than CHECK_AFTER."""
        since = now - CHECK_AFTER
        runs = waiting().filter(created_at__lt=since, queued_at__lt=since)
        if self.cursor is not None:
            created_at, pk = self.cursor
            runs = runs.filter(
                Q(created_at__gt=created_at) | Q(created_at=created_at, pk__gt=pk),
                created_at__gte=created_at,
            )
        runs = runs.order_by("created_at", "pk")
        found = list(runs.values_list("created_at", "pk", "task", "options")[:CHECK_BATCH_SIZE])
        self.cursor = found[-1][:2] if len(found) == CHECK_BATCH_SIZE else None
        suspects: dict[str, list[UUID]] = {}
        if not found:
            return suspects
        recorded = frozenset(
            TaskSpec.objects.filter(is_recorded=True).values_list("name", flat=True)
        )
        for _, pk, task, options in found:
            queue = self.queue_of(task, options) if task in recorded else None
            if queue is not None:
                suspects.setdefault(queue, []).append(pk)
        return suspects

    def republish_drained(self, depths: Mapping[str, Depth], now: datetime) -> list[Outgoing]:
        """Republish the suspects of each drained queue; return them."""
        workers = alive_worker_counts()
        again = []
        for queue, ids in self.suspects.items():
            if queue in depths and is_drained(depths[queue], workers[queue]):
                again += republish(ids, queue, now)
        if again:
            logger.warning(
                LogEvent.MESSAGES_REPUBLISHED,
                "Publishing the messages of %(count)d queued runs again: their queue is empty",
                count=len(again),
            )
        return again


def is_drained(depth: Depth, workers: int) -> bool:
    """Return whether a queue is empty and only recorded workers consume from it.

    `workers` is the number of recorded workers. Another consumer might be running the message
    without reporting it, and would then run the republished message as well.
    """
    all_are_known = depth.consumers is None or depth.consumers <= workers
    return depth.ready == 0 and workers > 0 and all_are_known


def alive_worker_counts() -> Counter[str]:
    """Return the number of alive recorded workers by queue."""
    living = Worker.objects.filter(IS_ALIVE).values_list("queues", flat=True)
    return Counter(queue for queues in living for queue in queues)


@transaction.atomic
def republish(ids: Collection[UUID], queue: str, now: datetime) -> list[Outgoing]:
    """Record the republication of runs of a queue, up to the limit, and return them.

    The limit is on republished runs that have not started: a worker that has prefetched a whole
    long queue leaves it empty, and must not get the whole queue again.
    """
    Republication.objects.exclude(Exists(waiting().filter(pk=OuterRef("run_id")))).delete()
    remaining = MAX_REPUBLISHED_PER_QUEUE - Republication.objects.filter(queue=queue).count()
    runs = waiting().filter(pk__in=ids).order_by("created_at", "pk").values_list("pk", flat=True)
    can_skip = connection.features.has_select_for_update_skip_locked
    locked = list(runs.select_for_update(skip_locked=can_skip))
    # Read after locking: another beat may have republished some.
    known = Republication.objects.in_bulk(locked)
    new = [pk for pk in locked if pk not in known][: max(remaining, 0)]
    due = [pk for pk in locked if pk in known and known[pk].not_before_at <= now]
    Republication.objects.bulk_create(
        [republication_of(pk, queue, known.get(pk), now) for pk in (*due, *new)],
        update_conflicts=True,
        unique_fields=["run_id"],
        update_fields=["count", "not_before_at"],
    )
    again = Run.objects.filter(pk__in=[*due, *new])
    again.update(reason=REPUBLISHED)
    return [outgoing(run) for run in again.order_by("created_at", "pk")]


def republication_of(
    run_id: UUID, queue: str, before: Republication | None, now: datetime
) -> Republication:
    """Return the row that records one more republication of a run."""
    count = before.count if before else 0
    pause = backoff(count + 1, first=CHECK_AFTER, longest=LONGEST_BACKOFF)
    return Republication(run_id=run_id, queue=queue, count=count + 1, not_before_at=now + pause)


def router_of(app: Celery) -> Callable[[str, str], str | None]:
    """Return a function that gives the queue to which Celery sends a task with options."""

    @lru_cache(4096)
    def queue_of(task: str, options: str) -> str | None:
        asked = json.loads(options)
        return route_of(task, *(asked.get(name) for name in ROUTING), app=app).queue

    return queue_of
