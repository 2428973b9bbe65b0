"""Resolve the slots of a due task into runs, missed slots and its next slot: pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from scheduler_api.periodic_tasks.jitter import due_at
from scheduler_api.periodic_tasks.models import WRITTEN_BY_API, ManagedTask
from scheduler_api.runs.creation import Definition, new_run
from scheduler_api.runs.models import Run
from scheduler_api.scheduler.policy import MAX_CATCHUP, missed_among
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.kinds import Interval, Schedule
from scheduler_api.schedules.slots import EPOCH, ONE_MICROSECOND, next_interval_slot, next_slot

# The slots of one task that one step examines; after a long outage several steps are needed.
MAX_PASSED = 10_000


# Many tasks share a schedule and are due at the same slot.
shared_slot = lru_cache(maxsize=4096)(next_slot)

# The kind of a schedule, its id, and a digest of its definition.
ScheduleKey = tuple[str, int, str]


class DueTask(NamedTuple):
    """A due periodic task: its agenda row, its definition and its policies."""

    id: int
    slot_at: datetime | None
    due_at: datetime
    anchor_at: datetime | None
    slots_after_at: datetime | None
    timing_digest: str
    failures: int
    name: str
    task: str
    args: str
    kwargs: str
    queue: str | None
    exchange: str | None
    routing_key: str | None
    priority: int | None
    headers: str
    start_time: datetime | None
    expires: datetime | None
    expire_seconds: int | None
    one_off: bool
    interval_id: int | None
    crontab_id: int | None
    solar_id: int | None
    clocked_id: int | None
    owner_id: int | None
    misfire: str | None
    catchup_window_seconds: int | None
    overlap: str | None
    jitter_seconds: int | None
    max_runtime_seconds: int | None
    managed_by: str | None

    @property
    def is_adopted(self) -> bool:
        """Whether others than the API have written the task."""
        return self.managed_by not in WRITTEN_BY_API

    @property
    def schedule_key(self) -> ScheduleKey | None:
        """Identify the schedule, as of when the task was planned; None without a schedule."""
        if self.interval_id is not None:
            return "interval", self.interval_id, self.timing_digest
        if self.crontab_id is not None:
            return "crontab", self.crontab_id, self.timing_digest
        if self.solar_id is not None:
            return "solar", self.solar_id, self.timing_digest
        if self.clocked_id is not None:
            return "clocked", self.clocked_id, self.timing_digest
        return None

    @property
    def definition(self) -> Definition:
        """Return the columns that its runs copy."""
        return Definition(
            periodic_task_id=self.id,
            periodic_task_name=self.name,
            owner_id=self.owner_id,
            task=self.task,
            args=self.args,
            kwargs=self.kwargs,
        )


class ScheduledRun(NamedTuple):
    """A run to send, before it is in the ledger."""

    id: str
    task: DueTask
    slot_at: datetime
    due_at: datetime
    options: str

    def as_run(
        self,
        *,
        now: datetime,
        state: str = Run.State.PENDING,
        is_buffered: bool = False,
        reason: str = "",
    ) -> Run:
        """Return the row for the ledger."""
        return new_run(
            self.task.definition,
            pk=self.id,
            slot_at=self.slot_at,
            due_at=self.due_at,
            now=now,
            options=self.options,
            state=state,
            is_buffered=is_buffered,
            reason=reason,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MissedSlots:
    """Consecutive missed slots."""

    first_at: datetime
    last_at: datetime
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedSlots:
    """Decisions on the due slots of a task, and its next slot."""

    send: list[datetime]
    resolved_through_at: datetime
    next_slot_at: datetime | None
    next_due_at: datetime | None
    missed: MissedSlots | None = None


@dataclass(frozen=True, kw_only=True)
class Slots:
    """Computes slots of tasks from the schedules of a batch."""

    schedules: Mapping[ScheduleKey, Schedule | InvalidSchedule]

    def after(self, task: DueTask, slot_at: datetime) -> datetime | None:
        """Return the first slot of a task after `slot_at`; None if there is none.

        Raises:
            InvalidSchedule: the task has no schedule, or an invalid one.

        """
        key = task.schedule_key
        schedule = None if key is None else self.schedules.get(key)
        if key is None or schedule is None:
            raise InvalidSchedule("There is no schedule.", field="schedule", code="no_schedule")
        if isinstance(schedule, InvalidSchedule):
            raise schedule
        if task.one_off:
            return None
        after = max(slot_at, task.slots_after_at or EPOCH)
        if task.start_time and task.start_time > after:
            after = task.start_time - ONE_MICROSECOND
        slot: datetime | None
        if isinstance(schedule, Interval):
            slot = next_interval_slot(schedule.every, task.anchor_at or slot_at, after)
        else:
            slot = shared_slot(schedule, after)
        return None if slot and task.expires and slot >= task.expires else slot


def resolve_slots(
    task: DueTask, slots: Slots, *, grace: timedelta, now: datetime
) -> ResolvedSlots:
    """Decide which due slots of a task to send and which to miss, and find its next slot."""
    assert task.slot_at is not None
    jitter = task.jitter_seconds or 0
    # Not the agenda's due_at: for a quarantined task that is the time of the next try.
    was_due_at = due_at(task.id, task.slot_at, jitter)
    following = slots.after(task, task.slot_at)
    following_due = following and due_at(task.id, following, jitter)
    if now - was_due_at <= grace and (following_due is None or following_due > now):
        # The usual case: one slot, on time.
        return ResolvedSlots(
            send=[task.slot_at],
            resolved_through_at=task.slot_at,
            next_slot_at=following,
            next_due_at=following_due,
        )
    passed, due = [task.slot_at], [was_due_at]
    while following and following_due and following_due <= now and len(passed) < MAX_PASSED:
        passed.append(following)
        due.append(max(following_due, due[-1]))  # jitter may reorder them
        following = slots.after(task, following)
        following_due = following and due_at(task.id, following, jitter)
    if following_due and following_due <= now:  # more are due; keep the latest for run_all
        missed, following = len(passed) - MAX_CATCHUP, passed[-MAX_CATCHUP]
        following_due = due[-MAX_CATCHUP]
        passed = passed[:missed]
    else:
        window = task.catchup_window_seconds
        missed = missed_among(
            due,
            misfire=task.misfire or ManagedTask.Misfire.RUN_ONCE,
            catchup_window=timedelta(seconds=3600 if window is None else window),
            grace=grace,
            now=now,
        )
    return ResolvedSlots(
        send=passed[missed:],
        resolved_through_at=passed[-1],
        next_slot_at=following,
        next_due_at=following_due,
        missed=missed_slots(passed[:missed]),
    )


def missed_slots(missed: list[datetime]) -> MissedSlots | None:
    """Combine missed slots into one value; None without any."""
    if not missed:
        return None
    return MissedSlots(first_at=missed[0], last_at=missed[-1], count=len(missed))
