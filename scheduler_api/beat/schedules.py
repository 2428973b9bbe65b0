"""The schedules that the tasks of a batch follow, each read once."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from scheduler_api.beat.serving import DueTask, ScheduleKey
from scheduler_api.periodic_tasks.timing import LONG_AGO
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.kinds import Schedule
from scheduler_api.schedules.rows import KINDS, Kind, schedule_of


def read_schedules(tasks: Iterable[DueTask]) -> dict[ScheduleKey, Schedule | InvalidSchedule]:
    """Return the schedules of tasks; for one that cannot be run, why not.

    An interval counts from no moment in particular: each task has its own.
    """
    ids: dict[str, set[int]] = {}
    for task in tasks:
        if task.schedule_key is not None:
            kind, pk = task.schedule_key
            ids.setdefault(kind, set()).add(pk)
    return {
        (kind, pk): schedule_of_values(kind, *values)
        for kind, pks in ids.items()
        for pk, *values in rows_of(KINDS[kind], pks)
    }


def rows_of(kind: Kind, ids: Iterable[int]) -> Iterable[tuple[Any, ...]]:
    """Return schedules of a kind: their ids, and the columns that say when."""
    rows = kind.model._default_manager.filter(pk__in=ids)
    return rows.values_list("pk", *kind.columns).iterator()


@lru_cache(maxsize=4096)
def schedule_of_values(kind: str, *values: Any) -> Schedule | InvalidSchedule:
    """Return what the columns of a schedule mean; why not, where they mean nothing."""
    columns = dict(zip(KINDS[kind].columns, values, strict=True))
    try:
        return schedule_of(KINDS[kind].model(**columns), anchor=LONG_AGO)
    except InvalidSchedule as error:
        return error
