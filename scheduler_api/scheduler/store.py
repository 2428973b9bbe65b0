"""The engine's reads and writes of the database: each method is at most one transaction."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from django.db import connection, transaction
from django.db.models import F, Min, Q, QuerySet
from django_celery_beat.models import PeriodicTask

from scheduler_api.broker.outgoing import Outgoing
from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.runs import transitions
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import Outbox, enqueue
from scheduler_api.scheduler.due_slots import DueTask, ScheduledRun
from scheduler_api.scheduler.store_values import (
    AGENDA_COLUMNS,
    MANAGED_COLUMNS,
    TASK_COLUMNS,
    Advance,
    PendingWork,
    Quarantine,
)

State = Run.State

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
NO_RUNS: Mapping[str, tuple[str, str]] = MappingProxyType({})


class Store:
    """The store for any database of Django, by the ORM. PostgresStore overrides it for speed."""

    # Tasks per claim. SQLite has one writer at a time: the API waits for the claim.
    batch_size = 100
    # After this time, a batch in the outbox counts as left by a crash and is republished. A
    # running beat extends it (`keep_enqueued`).
    batch_timeout = timedelta(seconds=15)

    def __init__(self, *, clock: Callable[[], datetime] | None = None) -> None:
        """`clock` replaces the database's clock, by which all beats otherwise agree."""
        self._clock = clock

    def now(self) -> datetime:
        """Return the current time, in UTC."""
        return self._clock() if self._clock else datetime.now(UTC)

    def pending_work(self) -> PendingWork:
        """Return the kinds of work to do."""
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
        """Lock stale agenda entries that are not locked; if `ids` is given, of these only."""
        stale = Agenda.objects.filter(stale=True).order_by("stale_at", "periodic_task_id")
        if ids is not None:
            stale = stale.filter(pk__in=ids)
        return list(stale.select_for_update(skip_locked=self.can_skip, no_key=True)[:limit])

    def stale_ids(self, *, limit: int) -> list[int]:
        """Return the ids of stale tasks."""
        stale = Agenda.objects.filter(stale=True).order_by("stale_at", "periodic_task_id")
        return list(stale.values_list("pk", flat=True)[:limit])

    def write_plans(self, planned: Sequence[Agenda]) -> None:
        """Save planned agenda entries."""
        for agenda_entry in planned:
            agenda_entry.stale = False
            agenda_entry.save(update_fields=PLAN_COLUMNS)

    def replan(self, ids: Sequence[int]) -> None:
        """Mark tasks stale that could not be planned before."""
        Agenda.objects.filter(pk__in=ids).update(stale=True, due_at=None)

    # --- Claims -------------------------------------------------------------------------------

    def due_ids(self, now: datetime, *, limit: int) -> list[int]:
        """Return the ids of due tasks."""
        due = self._due(now)
        return list(due.values_list("periodic_task_id", flat=True)[:limit])

    def lock_due(
        self, now: datetime, *, after: tuple[datetime, int] | None, limit: int
    ) -> list[DueTask]:
        """Lock due tasks that are not locked, after a cursor, until the end of the transaction."""
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
        """Add runs, enqueue them for publishing, and advance their tasks in the agenda.

        Return the ids of the added runs, and the id of their batch: 0 if no run was added.
        """
        added = self.add_scheduled(scheduled, now=now)
        self.advance(advances)
        batch_id = self.enqueue([each.id for each in scheduled if each.id in added], now=now)
        return added, batch_id

    def add_scheduled(self, runs: Sequence[ScheduledRun], *, now: datetime) -> set[str]:
        """Add runs to publish, and count them on their tasks; return the ids of the added runs.

        A run that is already in the ledger is left out: its slot is resolved.
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
        """Add runs that are not published now: missed, skipped or buffered ones."""
        Run.objects.bulk_create(runs, ignore_conflicts=True)

    def advance(self, advances: Sequence[Advance]) -> None:
        """Advance tasks to their next slot."""
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
        """Postpone tasks that cannot be planned or sent, with the reason."""
        for each in tasks:
            Agenda.objects.filter(pk=each.task_id).update(
                stale=False,
                due_at=each.retry_at,
                failures=each.failures,
                last_error=each.last_error,
            )

    @transaction.atomic
    def retry_quarantined(self, now: datetime) -> int:
        """Make beat try the quarantined tasks at once; return their number.

        A locked row is left out: its definition is being changed, so beat plans it anew.
        """
        waiting = Agenda.objects.filter(failures__gt=0, stale=False, due_at__gt=now)
        locked = waiting.select_for_update(skip_locked=self.can_skip, no_key=True)
        return Agenda.objects.filter(pk__in=locked.values("pk")).update(due_at=now)

    def failures_of(self, task_id: int) -> int:
        """Return the number of consecutive failures to plan or send a task."""
        return Agenda.objects.values_list("failures", flat=True).get(pk=task_id)

    def replace(self, run_ids: Sequence[str], *, reason: str, now: datetime) -> None:
        """Cancel active runs that a later run replaces."""
        if run_ids:
            transitions.replace(run_ids, at=now, reason=reason)

    # --- The outbox ---------------------------------------------------------------------------

    def enqueue(
        self, run_ids: Sequence[str], *, now: datetime, retry_at: datetime | None = None
    ) -> int:
        """Enqueue runs as a batch in the outbox; return the batch's id, 0 without runs."""
        if not run_ids:
            return 0
        return enqueue(run_ids, now=now, retry_at=retry_at or now + self.batch_timeout)

    def keep_enqueued(self, batch_ids: Iterable[int], *, now: datetime) -> None:
        """Extend the timeout of batches that are still being published."""
        Outbox.objects.filter(pk__in=batch_ids).update(retry_at=now + self.batch_timeout)

    @transaction.atomic
    def take_unsent(self, now: datetime) -> tuple[int, list[Outgoing]] | None:
        """Take over a batch that has timed out; return its id and its unpublished runs."""
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
        """Whether the database supports SKIP LOCKED."""
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
    ) -> list[str]:
        """Record the results of a batch; unsent runs are republished from `retry_at` on.

        `ended` has the final state and the reason of each run that will not be published. Return
        those that have ended now: another beat, or a caller, may have been faster.
        """
        self.mark_queued(queued, now=now)
        has_ended = [
            pk
            for pk, (state, reason) in ended.items()
            if transitions.end_unpublished(pk, state=state, reason=reason)
        ]
        batch = Outbox.objects.filter(pk=batch_id)
        if unsent:
            batch.update(run_ids=list(unsent), retry_at=retry_at or now)
        else:
            batch.delete()
        return has_ended

    def mark_queued(self, run_ids: Sequence[str], *, now: datetime) -> None:
        """Mark confirmed runs as queued; a worker may already have started them."""
        if run_ids:
            transitions.confirm(run_ids, at=now)


def outgoing(run: Run) -> Outgoing:
    """Return the message of a run."""
    return Outgoing(
        id=str(run.pk),
        periodic_task_name=run.periodic_task_name,
        task=run.task,
        args=run.args,
        kwargs=run.kwargs,
        options=run.options,
    )
