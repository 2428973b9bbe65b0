"""The schedule of a periodic task: its row, its value and a digest of all its slots depend on."""

from datetime import datetime
from hashlib import blake2b
from typing import Any

from django_celery_beat.models import PeriodicTask

from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.kinds import Schedule
from scheduler_api.schedules.tables import kind_of, schedule_of, values_of

DISABLED_DIGEST = "off"


def schedule_row(task: PeriodicTask) -> Any:
    """Return the schedule row of a periodic task; None without one."""
    return task.interval or task.crontab or task.solar or task.clocked


def schedule_from(task: PeriodicTask, anchor_at: datetime) -> Schedule:
    """Return the schedule of a periodic task; an interval counts from `anchor_at`.

    Raises:
        InvalidSchedule: the task has no schedule, or the schedule cannot be evaluated.

    """
    row = schedule_row(task)
    if row is None:
        raise InvalidSchedule("There is no schedule.", field="schedule", code="no_schedule")
    return schedule_of(row, anchor=anchor_at)


def timing_digest(task: PeriodicTask) -> str:
    """Return a digest that changes whenever the slots change, at most 64 characters."""
    if not task.enabled:
        return DISABLED_DIGEST
    row = schedule_row(task)
    values = row and (kind_of(row).name, *map(str, values_of(row).values()))
    timing = repr((values, task.start_time, task.expires, task.one_off))
    return blake2b(timing.encode(), digest_size=16).hexdigest()
