"""The schedules that the tasks of a batch follow, each read once."""

from collections.abc import Iterable

from scheduler_api.beat.serving import DueTask, ScheduleKey
from scheduler_api.periodic_tasks.timing import LONG_AGO
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.kinds import Schedule
from scheduler_api.schedules.rows import KINDS, schedule_of


def read_schedules(tasks: Iterable[DueTask]) -> dict[ScheduleKey, Schedule | InvalidSchedule]:
    """Return the schedules of tasks; for one that cannot be run, why not.

    An interval counts from no moment in particular: each task has its own.
    """
    ids: dict[str, set[int]] = {}
    for task in tasks:
        if task.schedule_key is not None:
            kind, pk = task.schedule_key
            ids.setdefault(kind, set()).add(pk)
    read: dict[ScheduleKey, Schedule | InvalidSchedule] = {}
    for kind, pks in ids.items():
        rows = KINDS[kind].model._default_manager.filter(pk__in=pks)
        for row in rows.iterator():
            try:
                read[kind, row.pk] = schedule_of(row, anchor=LONG_AGO)
            except InvalidSchedule as error:
                read[kind, row.pk] = error
    return read
