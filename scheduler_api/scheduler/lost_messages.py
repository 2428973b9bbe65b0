"""Messages that the broker itself has lost: found out, and sent again under the same id.

A run that is `queued` for long waits in its queue, or in the hands of a worker, or its message is
gone: with a worker that was killed on a broker that gives messages away for good, or with a node
of RabbitMQ that came back empty. Nobody can ask a broker for a message. But one whose queue is
empty does not wait there. So it is sent again, and the claim of the worker makes that harmless
where it was only in some worker's hands. How often grows rarer each time.

The state of the run stays as it is: it is a message that is sent again, not a run.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from celery import Celery
from celery.app.routes import MapRoute
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from scheduler_api.backoff import backoff
from scheduler_api.broker.outgoing import Outgoing
from scheduler_api.broker.queue_depths import Depth, QueueDepthProbe
from scheduler_api.catalogue.models import IS_ALIVE, TaskSpec, Worker
from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.runs.models import Run
from scheduler_api.scheduler.models import Republication
from scheduler_api.scheduler.store import outgoing

# For so long a run may wait before anybody asks where its message is.
CHECK_AFTER = timedelta(seconds=60)
# From one repeat of a run to the next: as long as the patience, then twice as long each time.
LONGEST_BACKOFF = timedelta(hours=1)
CHECK_BATCH_SIZE = 2000  # runs, in one look
MAX_REPUBLISHED_PER_QUEUE = 500  # runs of a queue whose repeats are out
REPUBLISHED = "Its queue was empty, and no worker had told of it: its message was sent again."

logger = EventLogger(__name__)


def waiting() -> QuerySet[Run]:
    """Select the runs that a worker is to start; by the index of what has not ended."""
    queued = Run.objects.filter(ended_as=None, state=Run.State.QUEUED)
    return queued.filter(started_at=None, lease_until=None)


@dataclass(kw_only=True)
class LostMessages:
    """What one beat knows of them. `queue_of` tells where a run was sent; None for who knows."""

    queue_of: Callable[[str, str], str | None]
    depth_probe: QueueDepthProbe
    # By queue, the runs that are suspects there, and that the broker was asked about.
    suspects: dict[str, list[UUID]] = field(default_factory=dict)
    # Where the last look ended, so that a long queue does not hide the others.
    cursor: tuple[datetime, UUID] | None = None

    def check(self, now: datetime) -> list[Outgoing]:
        """Return runs that are to be sent again, and ask about others: their turn is next time."""
        depths = self.depth_probe.take()
        if depths is None:
            return []
        again = self.republish_drained(depths, now) if depths else []
        self.suspects = self.find(now)
        if self.suspects:
            self.depth_probe.ask(self.suspects.keys())
        return again

    def find(self, now: datetime) -> dict[str, list[UUID]]:
        """Return runs that wait longer than they should, by their queue."""
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
        """Return those whose queue is empty, where only workers take from it that tell of runs."""
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
    """Tell whether nothing waits in a queue, and all who take from it are so many workers.

    Another may run without telling of it, and so would run what is sent again.
    """
    all_are_known = depth.consumers is None or depth.consumers <= workers
    return depth.ready == 0 and workers > 0 and all_are_known


def alive_worker_counts() -> Counter[str]:
    """Return how many workers that tell of runs take from each queue."""
    living = Worker.objects.filter(IS_ALIVE).values_list("queues", flat=True)
    return Counter(queue for queues in living for queue in queues)


@transaction.atomic
def republish(ids: Collection[UUID], queue: str, now: datetime) -> list[Outgoing]:
    """Note that runs of a queue are sent again, as many as may be, and return them.

    No more are out at once than so many: a worker that has taken all of a long queue into its
    hands leaves it empty, and is not to get all of it once more.
    """
    Republication.objects.exclude(Exists(waiting().filter(pk=OuterRef("run_id")))).delete()
    remaining = MAX_REPUBLISHED_PER_QUEUE - Republication.objects.filter(queue=queue).count()
    runs = waiting().filter(pk__in=ids).order_by("created_at", "pk").values_list("pk", flat=True)
    can_skip = connection.features.has_select_for_update_skip_locked
    locked = list(runs.select_for_update(skip_locked=can_skip))
    # Now that they are locked: another beat may have been here.
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
    """Return the row of a run that is sent once more."""
    count = before.count if before else 0
    pause = backoff(count + 1, first=CHECK_AFTER, longest=LONGEST_BACKOFF)
    return Republication(run_id=run_id, queue=queue, count=count + 1, not_before_at=now + pause)


def router_of(app: Celery) -> Callable[[str, str], str | None]:
    """Return what tells the queue that Celery sends a run to, by its task and its options."""

    @lru_cache(4096)
    def queue_of(task: str, options: str) -> str | None:
        asked = json.loads(options)
        routers = app.amqp.router.routes  # type: ignore[attr-defined]
        if not all(isinstance(router, MapRoute) for router in routers):
            return None  # it may look at the arguments
        known: Any = app.tasks.get(task)
        own = known._get_exec_options() if known else {}
        names = ("queue", "exchange", "routing_key")
        route = {name: asked.get(name) or own.get(name) for name in names}
        route = {name: value for name, value in route.items() if value}
        try:
            route_taken: dict[str, Any] = app.amqp.router.route(route, task, task_type=known)
        except Exception:  # noqa: BLE001 - a route of the project's; publishing it has failed, too
            return None
        if "exchange" in route_taken or "routing_key" in route_taken:
            return None
        return str(route_taken["queue"].name)

    return queue_of
