"""What the engine asks of the database, and tells it: each method is one transaction or less."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from django.db import connection, transaction
from django.db.models import (
    DateTimeField,
    ExpressionWrapper,
    F,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Least
from django_celery_beat.models import PeriodicTask

from scheduler_api.broker.outgoing import Outgoing
from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.runs import transitions
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import Outbox, put_out
from scheduler_api.scheduler.due_slots import DueTask, ScheduledRun
from scheduler_api.schedules.slots import ONE_MICROSECOND

State = Run.State

AGENDA_COLUMNS = (
    "periodic_task_id",
    "slot_at",
    "due_at",
    "anchor_at",
    "slots_after_at",
    "timing_digest",
    "failures",
)
TASK_COLUMNS = (
    "name",
    "task",
    "args",
    "kwargs",
    "queue",
    "exchange",
    "routing_key",
    "priority",
    "headers",
    "start_time",
    "expires",
    "expire_seconds",
    "one_off",
    "interval_id",
    "crontab_id",
    "solar_id",
    "clocked_id",
)
PLAN_COLUMNS = (
    "slot_at",
    "due_at",
    "anchor_at",
    "slots_after_at",
    "resolved_through_at",
    "timing_digest",
    "stale",
    "failures",
    "last_error",
    "missed_count",
)
MANAGED_COLUMNS = (
    "owner_id",
    "misfire",
    "catchup_window_seconds",
    "overlap",
    "jitter_seconds",
    "max_runtime_seconds",
)


NO_RUNS: Mapping[str, tuple[str, str]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingWork:
    """What there is to do, at a moment."""

    now: datetime
    is_stale: bool
    next_due_at: datetime | None
    has_unsent: bool
    has_buffered: bool
    has_pause_to_end: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Advance:
    """Where a task stands after its slots were served."""

    task_id: int
    slot_at: datetime | None
    due_at: datetime | None
    resolved_through_at: datetime
    missed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Quarantine:
    """A task that cannot be planned or sent: why, and when that is tried again."""

    task_id: int
    failures: int
    last_error: str
    retry_at: datetime


class Store:
    """Any database that Django knows, by its ORM. PostgresStore does what it can do faster."""

    # SQLite has one writer at a time: the API waits meanwhile.
    batch = 100
    # A beat that has crashed leaves its batches; a beat that lives puts this off.
    batch_timeout = timedelta(seconds=15)

    def __init__(self, *, clock: Callable[[], datetime] | None = None) -> None:
        """`clock` tells the time in the place of the database, so that all beats agree on it."""
        self._clock = clock

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return self._clock() if self._clock else datetime.now(UTC)

    def pending_work(self) -> PendingWork:
        """Look at what there is to do."""
        now = self.now()
        due = Agenda.objects.filter(due_at__isnull=False, stale=False)
        return PendingWork(
            now=now,
            is_stale=Agenda.objects.filter(stale=True).exists(),
            next_due_at=due.aggregate(first=Min("due_at"))["first"],
            has_unsent=Outbox.objects.filter(retry_at__lte=now).exists(),
            has_buffered=Run.objects.filter(is_buffered=True).exists(),
            has_pause_to_end=PeriodicTask.objects.filter(
                enabled=False, managed__paused_until__lte=now
            ).exists(),
        )

    # --- Plans --------------------------------------------------------------------------------

    def lock_stale(self, *, ids: Sequence[int] | None, limit: int) -> list[Agenda]:
        """Lock places that are stale and that nobody else has locked; of `ids` alone, if given."""
        stale = Agenda.objects.filter(stale=True).order_by("stale_at", "periodic_task_id")
        if ids is not None:
            stale = stale.filter(pk__in=ids)
        return list(stale.select_for_update(skip_locked=self.can_skip, no_key=True)[:limit])

    def stale_ids(self, *, limit: int) -> list[int]:
        """Return the ids of tasks that are to be planned."""
        stale = Agenda.objects.filter(stale=True).order_by("stale_at", "periodic_task_id")
        return list(stale.values_list("pk", flat=True)[:limit])

    def write_plans(self, planned: Sequence[Agenda]) -> None:
        """Store where tasks stand that were planned."""
        for agenda_entry in planned:
            agenda_entry.stale = False
            agenda_entry.save(update_fields=PLAN_COLUMNS)

    def replan(self, ids: Sequence[int]) -> None:
        """Let tasks be planned again that could not be, once."""
        Agenda.objects.filter(pk__in=ids).update(stale=True, due_at=None)

    # --- Claims -------------------------------------------------------------------------------

    def due_ids(self, now: datetime, *, limit: int) -> list[int]:
        """Return the ids of tasks that are due."""
        due = self._due(now)
        return list(due.values_list("periodic_task_id", flat=True)[:limit])

    def lock_due(
        self, now: datetime, *, after: tuple[datetime, int] | None, limit: int
    ) -> list[DueTask]:
        """Lock tasks that are due and that nobody else has locked, within the transaction."""
        due = self._due(now)
        if after is not None:
            due_at, task_id = after
            due = due.filter(Q(due_at__gt=due_at) | Q(due_at=due_at, periodic_task_id__gt=task_id))
        return self._read(due[:limit])

    def lock_one(self, task_id: int, now: datetime) -> list[DueTask]:
        """Lock one task if it is still due."""
        return self._read(self._due(now).filter(periodic_task_id=task_id))

    def _due(self, now: datetime) -> QuerySet[Agenda]:
        due = Agenda.objects.filter(due_at__lte=now, stale=False)
        return due.order_by("due_at", "periodic_task_id")

    def _read(self, due: QuerySet[Agenda]) -> list[DueTask]:
        columns = due.values_list(
            *AGENDA_COLUMNS,
            *(f"periodic_task__{column}" for column in TASK_COLUMNS),
            *(f"periodic_task__managed__{column}" for column in MANAGED_COLUMNS),
        )
        return [DueTask._make(row) for row in columns]

    def write_claim(
        self, scheduled: Sequence[ScheduledRun], advances: Sequence[Advance], *, now: datetime
    ) -> tuple[set[str], int]:
        """Add runs that are to be published, put them out, and say where their tasks stand.

        Return the ids of those that were added, and the id of their batch: 0 where none was.
        """
        added = self.add_scheduled(scheduled, now=now)
        self.advance(advances)
        batch_id = self.put_out([each.id for each in scheduled if each.id in added], now=now)
        return added, batch_id

    def add_scheduled(self, runs: Sequence[ScheduledRun], *, now: datetime) -> set[str]:
        """Add runs that are to be published, and count them; return the ids of those added.

        One that is in the ledger already is left out: its slot has been served.
        """
        known = Run.objects.filter(pk__in=[scheduled.id for scheduled in runs])
        known_ids = {str(pk) for pk in known.values_list("pk", flat=True)}
        added = [scheduled for scheduled in runs if scheduled.id not in known_ids]
        self.add_others([scheduled.as_run(now=now) for scheduled in added])
        for scheduled in added:
            counted = PeriodicTask.objects.filter(pk=scheduled.task.id)
            counted.update(last_run_at=now, total_run_count=F("total_run_count") + 1)
            if scheduled.task.one_off:
                counted.update(enabled=False)
        return {scheduled.id for scheduled in added}

    def add_others(self, runs: Sequence[Run]) -> None:
        """Add runs that are not to be published now."""
        Run.objects.bulk_create(runs, ignore_conflicts=True)

    def advance(self, advances: Sequence[Advance]) -> None:
        """Say where tasks stand."""
        for each in advances:
            Agenda.objects.filter(pk=each.task_id).update(
                slot_at=each.slot_at,
                due_at=each.due_at,
                resolved_through_at=each.resolved_through_at,
                missed_count=F("missed_count") + each.missed,
                failures=0,
                last_error="",
            )

    def quarantine(self, tasks: Iterable[Quarantine]) -> None:
        """Put off tasks that cannot be planned or sent."""
        for each in tasks:
            Agenda.objects.filter(pk=each.task_id).update(
                stale=False,
                due_at=each.retry_at,
                failures=each.failures,
                last_error=each.last_error,
            )

    def failures_of(self, task_id: int) -> int:
        """Return how often in a row a task could not be planned or sent."""
        return Agenda.objects.values_list("failures", flat=True).get(pk=task_id)

    @transaction.atomic
    def rewind(self, now: datetime) -> None:
        """Let all slots come again that are not yet, since the clock has been set back.

        Rows of slots that were missed by the other clock go: these slots may be served now.
        """
        missed = Run.objects.filter(ended_as=State.MISSED, created_at__gt=now)
        of_task = missed.filter(periodic_task_id=OuterRef("pk")).order_by()
        totals = of_task.values("periodic_task_id").annotate(
            first=Min("slot_at"), slots=Sum("slot_count")
        )
        Agenda.objects.filter(pk__in=missed.values("periodic_task_id")).update(
            resolved_through_at=ExpressionWrapper(
                Subquery(totals.values("first")) - ONE_MICROSECOND, output_field=DateTimeField()
            ),
            missed_count=F("missed_count") - Subquery(totals.values("slots")),
            slot_at=None,
            due_at=None,
            stale=True,
        )
        missed.delete()
        later = Q(resolved_through_at__gt=now) | Q(slots_after_at__gt=now)
        Agenda.objects.filter(later).update(
            slot_at=None,
            due_at=None,
            resolved_through_at=Least("resolved_through_at", Value(now)),
            slots_after_at=Least("slots_after_at", Value(now)),
            stale=True,
        )

    def replace(self, run_ids: Sequence[str], *, reason: str, now: datetime) -> None:
        """End runs that have not ended."""
        if run_ids:
            transitions.replace(run_ids, at=now, reason=reason)

    # --- The outbox ---------------------------------------------------------------------------

    def put_out(
        self, run_ids: Sequence[str], *, now: datetime, retry_at: datetime | None = None
    ) -> int:
        """Note that runs are being published; return the id of the batch, 0 for no runs."""
        if not run_ids:
            return 0
        return put_out(run_ids, now=now, retry_at=retry_at or now + self.batch_timeout)

    def keep_out(self, batch_ids: Iterable[int], *, now: datetime) -> None:
        """Say that batches are still being published."""
        Outbox.objects.filter(pk__in=batch_ids).update(retry_at=now + self.batch_timeout)

    @transaction.atomic
    def take_unsent(self, now: datetime) -> tuple[int, list[Outgoing]] | None:
        """Take a batch that somebody has left; return its id and what is still to be published."""
        unsent = Outbox.objects.filter(retry_at__lte=now).order_by("retry_at")
        batch = unsent.select_for_update(skip_locked=self.can_skip).first()
        if batch is None:
            return None
        batch.retry_at = now + self.batch_timeout
        batch.save(update_fields=["retry_at"])
        pending = Run.objects.filter(pk__in=batch.run_ids, state=State.PENDING, is_buffered=False)
        return batch.pk, [outgoing(run) for run in pending.order_by("due_at", "pk")]

    @property
    def can_skip(self) -> bool:
        """Whether the database can pass over rows that others have locked."""
        return connection.features.has_select_for_update_skip_locked

    @transaction.atomic
    def settle(
        self,
        batch_id: int,
        *,
        queued: Sequence[str] = (),
        ended: Mapping[str, tuple[str, str]] = NO_RUNS,
        unsent: Sequence[str] = (),
        retry_at: datetime | None = None,
        now: datetime,
    ) -> None:
        """Note what became of a batch; what is unsent is published again from `retry_at` on.

        `ended` has the state and the reason of each run that nobody will publish.
        """
        self.mark_queued(queued, now=now)
        for pk, (state, reason) in ended.items():
            transitions.end_unpublished(pk, state=state, reason=reason)
        batch = Outbox.objects.filter(pk=batch_id)
        if unsent:
            batch.update(run_ids=list(unsent), retry_at=retry_at or now)
        else:
            batch.delete()

    def mark_queued(self, run_ids: Sequence[str], *, now: datetime) -> None:
        """Note that the broker has messages: a worker may have been quicker."""
        if run_ids:
            transitions.confirm(run_ids, at=now)


def outgoing(run: Run) -> Outgoing:
    """Return what is to be published of a run."""
    return Outgoing(
        id=str(run.pk),
        periodic_task_name=run.periodic_task_name,
        task=run.task,
        args=run.args,
        kwargs=run.kwargs,
        options=run.options,
    )
