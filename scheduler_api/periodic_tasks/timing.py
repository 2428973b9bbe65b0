"""When a periodic task is due: its schedule, within its start and its end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from django_celery_beat.models import PeriodicTask

from scheduler_api.periodic_tasks.models import end_of_pause, is_enabled, is_paused
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.kinds import Interval, Schedule
from scheduler_api.schedules.rows import schedule_of
from scheduler_api.schedules.slots import next_slot

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
AN_INSTANT = timedelta(microseconds=1)


def schedule_row(task: PeriodicTask) -> Any:
    """Return the row of the schedule that a periodic task follows; None without one."""
    return task.interval or task.crontab or task.solar or task.clocked


def schedule_of_task(task: PeriodicTask) -> Schedule:
    """Return when a periodic task is due, start and end aside; raise InvalidSchedule.

    An interval counts from the last run, or from the end of a pause since then. Before the first
    run it counts from the latest change of the task, or so that the first slot is `start_time`.
    """
    row = schedule_row(task)
    if row is None:
        raise InvalidSchedule("There is no schedule.", field="schedule", code="no_schedule")
    last_run_at, paused_until = task.last_run_at, end_of_pause(task)
    if paused_until and paused_until > (last_run_at or task.start_time or LONG_AGO):
        return schedule_of(row, anchor=paused_until)
    schedule = schedule_of(row, anchor=last_run_at or changed_at(task))
    if isinstance(schedule, Interval) and task.start_time and not last_run_at:
        return Interval(every=schedule.every, anchor=anchor_of(task.start_time, schedule))
    return schedule


def anchor_of(first: datetime, interval: Interval) -> datetime:
    """Return the moment one interval before the first slot, or the earliest there is."""
    return first - min(interval.every, first - datetime.min.replace(tzinfo=UTC))


def changed_at(task: PeriodicTask) -> datetime:
    """Return when the task was last written; one that is not stored yet, now."""
    changed: datetime | None = task.date_changed
    return changed or datetime.now(UTC)


def slots(task: PeriodicTask, *, after: datetime) -> Iterator[datetime]:
    """Yield the slots of a periodic task, whether it is enabled or not; raise InvalidSchedule."""
    schedule = schedule_of_task(task)
    after = max(after, end_of_pause(task) or LONG_AGO)
    if task.start_time and task.start_time > after:
        after = task.start_time - AN_INSTANT
    slot = next_slot(schedule, after)
    while slot and not (task.expires and slot >= task.expires):
        yield slot
        if task.one_off:
            return
        slot = next_slot(schedule, slot)


def upcoming_slots(task: PeriodicTask, *, after: datetime, count: int) -> list[datetime]:
    """Return the next slots at which it will run."""
    if never_runs(task):
        return []
    return list(islice(slots(task, after=after), count))


def next_run_at(task: PeriodicTask) -> datetime | None:
    """Return the slot that beat waits for, in the past when it is overdue."""
    if never_runs(task):
        return None
    try:
        return next(slots(task, after=waiting_since(task)), None)
    except InvalidSchedule:
        return None


def waiting_since(task: PeriodicTask) -> datetime:
    """Return the moment after which the next slot is due."""
    if task.clocked:
        return LONG_AGO
    last_run_at: datetime | None = task.last_run_at
    return last_run_at or changed_at(task)


def never_runs(task: PeriodicTask) -> bool:
    """Tell whether it is disabled, has had its run, or is paused until somebody resumes it."""
    is_stopped = is_paused(task) and end_of_pause(task) is None
    return is_stopped or not is_enabled(task) or is_done(task)


def is_done(task: PeriodicTask) -> bool:
    """Tell whether it was to run once, and has."""
    return bool(task.one_off and task.total_run_count)
