"""The moment from which the next slots of a periodic task are counted.

It depends on the definition and on the task's row in the agenda. A task that is not stored, or
that beat has never planned, starts as it would under the stock scheduler.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from django_celery_beat.models import PeriodicTask

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.models import end_of_pause
from scheduler_api.periodic_tasks.task_schedule import (
    DISABLED_DIGEST,
    schedule_row,
    timing_digest,
)
from scheduler_api.schedules.kinds import Interval
from scheduler_api.schedules.slots import EPOCH
from scheduler_api.schedules.tables import schedule_of


@dataclass(frozen=True, kw_only=True)
class SlotCursor:
    """The moment from which the slots of a periodic task are counted.

    Slots of an interval are `anchor_at` plus k times its length. Only slots after `slots_after_at`
    count: before it, the definition was another. Slots up to `after` are already resolved.
    `slot_at` is the next slot where it is already known.
    """

    anchor_at: datetime
    after: datetime
    slots_after_at: datetime
    slot_at: datetime | None = None
    is_rearmed: bool = False


def slot_cursor_of(task: PeriodicTask) -> SlotCursor:
    """Return the cursor of a periodic task.

    - Never planned: after the last run, or after the latest change of the row, as the stock
      scheduler does. A clocked task runs however long ago its moment was.
    - Resumed or enabled again: from then on.
    - With another schedule: after the latest resolved slot, and not before the change. An interval
      of another length counts from the latest slot, so that frequent changes do not postpone it.
    - Otherwise: unchanged.
    """
    agenda, resumed_at = planned_agenda(task), end_of_pause(task)
    if agenda is None:
        return _first_cursor(task, resumed_at)
    resolved_through_at = agenda.resolved_through_at or EPOCH
    slots_after_at = agenda.slots_after_at or EPOCH
    if resumed_at and resumed_at > slots_after_at:
        return SlotCursor(
            anchor_at=resumed_at, after=resumed_at, slots_after_at=resumed_at, is_rearmed=True
        )
    changed_at = agenda.stale_at or EPOCH
    if agenda.timing_digest == DISABLED_DIGEST:
        return SlotCursor(
            anchor_at=changed_at, after=changed_at, slots_after_at=changed_at, is_rearmed=True
        )
    anchor_at = agenda.anchor_at or changed_at
    if agenda.timing_digest != timing_digest(task):
        slots_after_at = EPOCH if task.clocked else changed_at
        return SlotCursor(
            anchor_at=agenda.resolved_through_at or anchor_at,
            after=max(resolved_through_at, slots_after_at),
            slots_after_at=slots_after_at,
            # A slot that had passed before the change is still to be resolved.
            slot_at=_passed(agenda.slot_at, until=changed_at),
        )
    return SlotCursor(
        anchor_at=anchor_at,
        after=max(resolved_through_at, slots_after_at),
        slots_after_at=slots_after_at,
        slot_at=agenda.slot_at,
    )


def planned_agenda(task: PeriodicTask) -> Agenda | None:
    """Return the agenda row of a periodic task; None while beat has never planned it."""
    if task.pk is None:
        return None
    try:
        agenda: Agenda = task.agenda
    except Agenda.DoesNotExist:
        return None
    return agenda if agenda.timing_digest else None


def _passed(slot_at: datetime | None, *, until: datetime) -> datetime | None:
    return slot_at if slot_at and slot_at <= until else None


def _first_cursor(task: PeriodicTask, resumed_at: datetime | None) -> SlotCursor:
    last_run_at: datetime | None = task.last_run_at
    before = last_run_at or changed_at(task)
    after = max(EPOCH if task.clocked else before, resumed_at or EPOCH)
    if resumed_at and resumed_at > (last_run_at or task.start_time or EPOCH):
        return SlotCursor(anchor_at=resumed_at, after=after, slots_after_at=after)
    row = schedule_row(task)
    if task.interval and task.start_time and not last_run_at:
        interval = schedule_of(row, anchor=before)
        assert isinstance(interval, Interval)
        before = anchor_of(task.start_time, interval)
    return SlotCursor(anchor_at=before, after=after, slots_after_at=after)


def anchor_of(first: datetime, interval: Interval) -> datetime:
    """Return the moment one interval before the first slot, or the earliest possible moment."""
    return first - min(interval.every, first - datetime.min.replace(tzinfo=UTC))


def changed_at(task: PeriodicTask) -> datetime:
    """Return the time of the latest write; now if the task is not stored yet."""
    changed: datetime | None = task.date_changed
    return changed or datetime.now(UTC)
