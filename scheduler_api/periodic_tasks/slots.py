"""The slots of a periodic task: its schedule between `start_time` and `expires`.

The API and beat both use this module, so that a preview never differs from a run.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from django_celery_beat.models import PeriodicTask

from scheduler_api.periodic_tasks.models import end_of_pause, is_enabled, is_paused
from scheduler_api.periodic_tasks.slot_cursor import SlotCursor, planned_agenda, slot_cursor_of
from scheduler_api.periodic_tasks.task_schedule import DISABLED_DIGEST, schedule_from
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.kinds import Schedule
from scheduler_api.schedules.slots import EPOCH, ONE_MICROSECOND, next_slot


def schedule_of_task(task: PeriodicTask) -> Schedule:
    """Return the schedule of a periodic task, without start and end; raise InvalidSchedule."""
    return schedule_from(task, slot_cursor_of(task).anchor_at)


def slots(task: PeriodicTask, *, after: datetime) -> Iterator[datetime]:
    """Yield the slots of a periodic task, enabled or not; raise InvalidSchedule."""
    schedule = schedule_of_task(task)
    after = max(after, end_of_pause(task) or EPOCH)
    while slot := slot_after(schedule, after, start_time=task.start_time, expires=task.expires):
        yield slot
        if task.one_off:
            return
        after = slot


def slot_after(
    schedule: Schedule,
    after: datetime,
    *,
    start_time: datetime | None,
    expires: datetime | None,
) -> datetime | None:
    """Return the first slot later than `after`, from `start_time` on and before `expires`."""
    if start_time and start_time > after:
        after = start_time - ONE_MICROSECOND
    slot = next_slot(schedule, after)
    return None if slot and expires and slot >= expires else slot


def upcoming_slots(task: PeriodicTask, *, after: datetime, count: int) -> list[datetime]:
    """Return the next slots at which a periodic task will run."""
    if never_runs(task):
        return []
    return list(islice(slots(task, after=after), count))


def next_run_at(task: PeriodicTask) -> datetime | None:
    """Return the slot that beat waits for, in the past when it is overdue."""
    agenda = planned_agenda(task)
    if agenda and not agenda.stale and agenda.timing_digest != DISABLED_DIGEST:
        return agenda.slot_at
    if never_runs(task):
        return None
    try:
        return first_slot(task, slot_cursor_of(task))
    except InvalidSchedule:
        return None


def first_slot(task: PeriodicTask, cursor: SlotCursor) -> datetime | None:
    """Return the first slot that is not yet resolved; None without one; raise InvalidSchedule."""
    if cursor.slot_at:
        return cursor.slot_at
    if is_done(task) and not cursor.is_rearmed:
        return None
    return slot_after(
        schedule_from(task, cursor.anchor_at),
        cursor.after,
        start_time=task.start_time,
        expires=task.expires,
    )


def never_runs(task: PeriodicTask) -> bool:
    """Return whether a task is disabled, is done, or is paused without an end."""
    is_stopped = is_paused(task) and end_of_pause(task) is None
    return is_stopped or not is_enabled(task) or is_done(task)


def is_done(task: PeriodicTask) -> bool:
    """Return whether a one-off task has had its run."""
    return bool(task.one_off and task.total_run_count)
