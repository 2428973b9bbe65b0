"""Read the schedules of a batch of tasks, and cache each until its definition changes."""

from collections.abc import Iterable
from typing import Any

from scheduler_api.scheduler.due_slots import DueTask, ScheduleKey
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.kinds import Schedule
from scheduler_api.schedules.slots import EPOCH
from scheduler_api.schedules.tables import KINDS, ScheduleKind, schedule_of

MAX_CACHED = 16_384
# A changed schedule has another key: the change marks its tasks stale, and planning gives them
# another digest.
_cached: dict[ScheduleKey, Schedule | InvalidSchedule] = {}


def read_schedules(tasks: Iterable[DueTask]) -> dict[ScheduleKey, Schedule | InvalidSchedule]:
    """Return the schedules of tasks by key; the refusal in place of an invalid one.

    An interval has no anchor here: each task has its own.
    """
    keys = {key for task in tasks if (key := task.schedule_key)}
    found = {key: _cached[key] for key in keys if key in _cached}
    missing = keys - found.keys()
    if not missing:
        return found
    read = {
        (name, pk): schedule_of_values(kind, values)
        for name, kind in KINDS.items()
        for pk, *values in rows_of(kind, {key[1] for key in missing if key[0] == name})
    }
    new = {key: read[key[:2]] for key in missing if key[:2] in read}
    if len(_cached) + len(new) > MAX_CACHED:
        _cached.clear()
    _cached.update(new)
    return found | new


def rows_of(kind: ScheduleKind, ids: Iterable[int]) -> Iterable[tuple[Any, ...]]:
    """Return rows of one kind of schedule: the id, then the columns of the definition."""
    if not ids:
        return ()
    rows = kind.model._default_manager.filter(pk__in=ids)
    return rows.values_list("pk", *kind.columns)


def schedule_of_values(kind: ScheduleKind, values: Iterable[Any]) -> Schedule | InvalidSchedule:
    """Return the schedule that columns define; the refusal if they are invalid."""
    columns = dict(zip(kind.columns, values, strict=True))
    try:
        return schedule_of(kind.model(**columns), anchor=EPOCH)
    except InvalidSchedule as error:
        return error
