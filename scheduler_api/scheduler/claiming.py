"""Claim due tasks: in one transaction, add their runs to the ledger and advance the agenda."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction

from scheduler_api.broker.outgoing import Outgoing
from scheduler_api.catalogue.task_lookup import announced_names
from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.periodic_tasks.jitter import due_at
from scheduler_api.periodic_tasks.models import MAX_RUNTIME_SECONDS
from scheduler_api.periodic_tasks.run_ids import run_id
from scheduler_api.runs import message_options
from scheduler_api.runs.creation import new_missed_run
from scheduler_api.runs.events import RunEvent, record_event
from scheduler_api.runs.models import Run
from scheduler_api.scheduler.buffered_runs import active_of
from scheduler_api.scheduler.due_slots import (
    DueTask,
    ResolvedSlots,
    ScheduledRun,
    Slots,
    resolve_slots,
)
from scheduler_api.scheduler.planning import quarantine_of
from scheduler_api.scheduler.policy import Overlap, OverlapDecision, decide
from scheduler_api.scheduler.schedule_cache import read_schedules
from scheduler_api.scheduler.store import Store
from scheduler_api.scheduler.store_values import Advance, Quarantine

LATE = "Its slot was not sent in time."
OVERLAPS = "The previous run has not ended."
REPLACED = "The next run replaced it."

logger = EventLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The result of a claim: a batch to publish, cancelled runs, and the last position."""

    batch_id: int
    runs: Sequence[Outgoing] = ()
    cancelled: Sequence[str] = ()
    # For each run of a task that is tried again: the failures in a row before.
    retried: Mapping[str, int] = field(default_factory=dict)
    count: int = 0
    last: tuple[datetime, int] | None = None
    oldest_due_at: datetime | None = None


@dataclass(kw_only=True)
class Writes:
    """The rows that a claim will write."""

    scheduled: list[ScheduledRun] = field(default_factory=list)
    others: list[Run] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    advances: list[Advance] = field(default_factory=list)
    quarantined: list[Quarantine] = field(default_factory=list)

    def replace(
        self,
        task: DueTask,
        scheduled: ScheduledRun,
        *,
        before: Sequence[tuple[str, bool]],
        now: datetime,
    ) -> None:
        """Add a run that replaces the active runs of its task: they are cancelled."""
        own = [each for each in self.scheduled if each.task.id == task.id]
        self.scheduled = [each for each in self.scheduled if each.task.id != task.id]
        self.scheduled.append(scheduled)
        self.others += [
            each.as_run(now=now, state=Run.State.CANCELLED, reason=REPLACED) for each in own
        ]
        known = {each.id for each in own}
        self.cancelled += [pk for pk, _ in before if pk not in known]


def claim(
    store: Store,
    now: datetime,
    *,
    grace: timedelta,
    limit: int,
    after: tuple[datetime, int] | None = None,
    task_id: int | None = None,
) -> Claim:
    """Claim due tasks that no other beat has locked: those after a cursor, or one by its id.

    A task that cannot be sent is quarantined with the reason and does not delay the others.
    """
    with transaction.atomic():
        if task_id is None:
            locked = store.lock_due(now, after=after, limit=limit)
        else:
            locked = store.lock_one(task_id, now)
        if not locked:
            return Claim(batch_id=0)
        writes = Writes()
        tasks = [task for task in locked if task.slot_at is not None]
        if len(tasks) < len(locked):
            store.replan([task.id for task in locked if task.slot_at is None])
        collect_writes(writes, tasks, grace=grace, now=now)
        added, batch_id = store.write_claim(writes.scheduled, writes.advances, now=now)
        store.add_others(writes.others)
        missed = [run for run in writes.others if run.state == Run.State.MISSED]
        if missed:
            record_event(RunEvent.Kind.MISSED, missed, at=now)
        store.quarantine(writes.quarantined)
        store.replace(writes.cancelled, reason=REPLACED, now=now)
    runs = [outgoing(scheduled) for scheduled in writes.scheduled if scheduled.id in added]
    return Claim(
        batch_id=batch_id,
        runs=runs,
        cancelled=writes.cancelled,
        retried={each.id: each.task.failures for each in writes.scheduled if each.task.failures},
        count=len(locked),
        last=(locked[-1].due_at, locked[-1].id),
        oldest_due_at=min((scheduled.due_at for scheduled in writes.scheduled), default=None),
    )


def collect_writes(
    writes: Writes, tasks: Sequence[DueTask], *, grace: timedelta, now: datetime
) -> None:
    """Resolve the slots of each task, and collect the rows to write."""
    slots = Slots(schedules=read_schedules(tasks))
    overlapping: list[tuple[DueTask, list[ScheduledRun]]] = []
    for task in tasks:
        try:
            options = options_of(task, now=now)
            resolved = resolve_slots(task, slots, grace=grace, now=now)
            runs = list(scheduled_runs_of(task, resolved, options))
        except Exception as error:  # noqa: BLE001 - a bad row must not stop the others
            writes.quarantined.append(quarantine_of(task.id, task.failures, error, now=now))
            continue
        writes.advances.append(
            Advance(
                task_id=task.id,
                slot_at=resolved.next_slot_at,
                due_at=resolved.next_due_at,
                resolved_through_at=resolved.resolved_through_at,
                missed=resolved.missed.count if resolved.missed else 0,
            )
        )
        if resolved.missed:
            writes.others.append(missed_run(task, resolved, now=now))
        if task.overlap is None or task.overlap == Overlap.ALLOW:
            writes.scheduled += runs
        else:
            overlapping.append((task, runs))
    if overlapping:
        collect_overlapping(writes, overlapping, now=now)


class UnsendableTask(Exception):
    """The periodic task cannot be sent: its row breaks a rule of the API."""


def options_of(task: DueTask, *, now: datetime) -> str:
    """Return the options of a task's messages; raise UnsendableTask if the API would refuse it.

    It is called once per task and claim, where a refusal quarantines this task alone.
    """
    problem = message_options.problem_with(task, is_adopted=task.is_adopted)
    if problem:
        raise UnsendableTask(problem)
    if not message_options.is_known(task.task) and announced_names.is_new(task.task):
        logger.warning(
            LogEvent.TASK_UNREGISTERED,
            "Sending %(task)s, which no worker has registered: its name and arguments are not "
            "checked",
            task=task.task,
        )
    expires = task.expires
    if expires is None and task.expire_seconds:
        expires = now + timedelta(seconds=task.expire_seconds)
    return message_options.options_of(
        task.queue, task.exchange, task.routing_key, task.priority, task.headers, expires
    )


def scheduled_runs_of(
    task: DueTask, resolved: ResolvedSlots, options: str
) -> Iterator[ScheduledRun]:
    """Yield the runs of a task to send, before its overlap policy is applied."""
    for slot_at in resolved.send:
        yield ScheduledRun(
            id=run_id(task.id, slot_at),
            task=task,
            slot_at=slot_at,
            due_at=due_at(task.id, slot_at, task.jitter_seconds or 0),
            options=options,
        )


def collect_overlapping(
    writes: Writes, tasks: Sequence[tuple[DueTask, list[ScheduledRun]]], *, now: datetime
) -> None:
    """Apply the overlap policies to runs of tasks that do not allow overlap."""
    active = active_of({task.id: lease_start(task, now) for task, _ in tasks})
    for task, runs in tasks:
        collect_after_active(writes, task, runs, active.get(task.id, []), now=now)


def lease_start(task: DueTask, now: datetime) -> datetime:
    """Return the earliest creation time of a run of the task that may still be active."""
    return now - timedelta(seconds=task.max_runtime_seconds or MAX_RUNTIME_SECONDS)


def collect_after_active(
    writes: Writes,
    task: DueTask,
    runs: Sequence[ScheduledRun],
    before: Sequence[tuple[str, bool]],
    *,
    now: datetime,
) -> None:
    """Apply the overlap policy to runs of a task.

    `before` has its active runs: for each, the id and whether it is buffered.
    """
    active = list(before)
    for scheduled in runs:
        buffered = sum(is_buffered for _, is_buffered in active)
        decision = decide(task.overlap or Overlap.ALLOW, active=len(active), buffered=buffered)
        match decision:
            case OverlapDecision.SEND:
                writes.scheduled.append(scheduled)
            case OverlapDecision.BUFFER:
                writes.others.append(scheduled.as_run(now=now, is_buffered=True, reason=OVERLAPS))
            case OverlapDecision.REPLACE:
                writes.replace(task, scheduled, before=active, now=now)
                active = []
            case OverlapDecision.SKIP:
                writes.others.append(
                    scheduled.as_run(now=now, state=Run.State.SKIPPED, reason=OVERLAPS)
                )
                continue
        active.append((scheduled.id, decision is OverlapDecision.BUFFER))


def missed_run(task: DueTask, resolved: ResolvedSlots, *, now: datetime) -> Run:
    """Return the run that records the missed slots."""
    missed = resolved.missed
    assert missed is not None
    return new_missed_run(
        task.definition,
        pk=run_id(task.id, missed.first_at),
        first_slot_at=missed.first_at,
        last_slot_at=missed.last_at,
        slot_count=missed.count,
        due_at=due_at(task.id, missed.first_at, task.jitter_seconds or 0),
        now=now,
        reason=LATE,
    )


def outgoing(scheduled: ScheduledRun) -> Outgoing:
    """Return the message of a scheduled run."""
    return Outgoing(
        id=scheduled.id,
        periodic_task_name=scheduled.task.name,
        task=scheduled.task.task,
        args=scheduled.task.args or "[]",
        kwargs=scheduled.task.kwargs or "{}",
        options=scheduled.options,
    )
