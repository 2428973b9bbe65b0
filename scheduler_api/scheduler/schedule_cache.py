"""The schedules that the tasks of a batch follow, each read once while it says the same."""

from collections.abc import Iterable
from typing import Any

from scheduler_api.scheduler.due_slots import DueTask, ScheduleKey
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.kinds import Schedule
from scheduler_api.schedules.slots import EPOCH
from scheduler_api.schedules.tables import KINDS, ScheduleKind, schedule_of

MAX_KNOWN = 16_384
# A schedule that says something else has another key: whoever writes it makes its tasks stale, and
# planning gives them another digest.
_known: dict[ScheduleKey, Schedule | InvalidSchedule] = {}


def read_schedules(tasks: Iterable[DueTask]) -> dict[ScheduleKey, Schedule | InvalidSchedule]:
    """Return the schedules of tasks; for one that cannot be run, why not.

    An interval counts from no moment in particular: each task has its own.
    """
    keys = {key for task in tasks if (key := task.schedule_key)}
    found = {key: _known[key] for key in keys if key in _known}
    missing = keys - found.keys()
    if not missing:
        return found
    read = {
        (name, pk): schedule_of_values(kind, values)
        for name, kind in KINDS.items()
        for pk, *values in rows_of(kind, {key[1] for key in missing if key[0] == name})
    }
    new = {key: read[key[:2]] for key in missing if key[:2] in read}
    if len(_known) + len(new) > MAX_KNOWN:
        _known.clear()
    _known.update(new)
    return found | new


def rows_of(kind: ScheduleKind, ids: Iterable[int]) -> Iterable[tuple[Any, ...]]:
    """Return schedules of a kind: their ids, and the columns that say when."""
    if not ids:
        return ()
    rows = kind.model._default_manager.filter(pk__in=ids)
    return rows.values_list("pk", *kind.columns)


def schedule_of_values(kind: ScheduleKind, values: Iterable[Any]) -> Schedule | InvalidSchedule:
    """Return what the columns of a schedule mean; why not, where they mean nothing."""
    columns = dict(zip(kind.columns, values, strict=True))
    try:
        return schedule_of(kind.model(**columns), anchor=EPOCH)
    except InvalidSchedule as error:
        return error
