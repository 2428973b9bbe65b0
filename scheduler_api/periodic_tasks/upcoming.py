"""The next slots of many periodic tasks, in the order of time.

Of those that the agenda has planned, only as many are read as a page has rows: no other can come
before them. Where the page begins later than now, those that have slots before it are read, too.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heapify, heappop, heapreplace, nsmallest
from itertools import chain
from typing import Any

from django.db.models import Q, QuerySet
from django_celery_beat.models import PeriodicTask

from scheduler_api.periodic_tasks.agenda import agenda_of
from scheduler_api.periodic_tasks.jitter import due_at
from scheduler_api.periodic_tasks.models import managed_settings
from scheduler_api.periodic_tasks.slots import next_run_at, slots
from scheduler_api.periodic_tasks.task_schedule import schedule_row
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.slots import EPOCH, ONE_MICROSECOND

READ_AT_ONCE = 500
# So many are told by their definitions, which takes longer: beat plans as many in a second or two.
MAX_UNPLANNED = 2000
EARLIEST = EPOCH
# When something is due, and of which periodic task: the order of all there is.
Place = tuple[datetime, int]
# The place of a slot, and the slot.
Due = tuple[Place, datetime]


@dataclass(frozen=True, kw_only=True)
class Upcoming:
    """A slot that is to come."""

    due_at: datetime
    slot_at: datetime
    task: PeriodicTask

    @property
    def schedule(self) -> Any:
        """Return the row of the schedule that its periodic task follows."""
        return schedule_row(self.task)


def upcoming_of(
    tasks: QuerySet[Any], *, after: Place, until: datetime, count: int
) -> list[Upcoming]:
    """Return the first slots of periodic tasks that are due after a place, and by a moment."""
    # Of the tasks that come first, each has a slot here: those behind them have no place.
    first = nsmallest(count, lines(tasks, after=after, until=until, count=count), key=place_of)
    heapify(first)
    found: list[Upcoming] = []
    while first and len(found) < count:
        (due, _), slot_at, task, line = first[0]
        if due > until:
            break
        found.append(Upcoming(due_at=due, slot_at=slot_at, task=task))
        following = next(line, None)
        if following:
            heapreplace(first, (*following, task, line))
        else:
            heappop(first)
    return found


Line = tuple[Place, datetime, PeriodicTask, Iterator[Due]]


def place_of(line: Line) -> Place:
    """Return where a periodic task stands in the order of time."""
    return line[0]


def lines(tasks: QuerySet[Any], *, after: Place, until: datetime, count: int) -> Iterator[Line]:
    """Yield the periodic tasks that may come first, each with its next slot and the others."""
    seen: set[int] = set()
    for task in candidates(tasks, after=after, until=until, count=count):
        if task.pk in seen:  # it was changed, or planned, between two of the queries
            continue
        seen.add(task.pk)
        line = coming(task, after=after)
        with suppress(StopIteration):
            place, slot_at = next(line)
            yield place, slot_at, task, line


def candidates(
    tasks: QuerySet[Any], *, after: Place, until: datetime, count: int
) -> Iterator[PeriodicTask]:
    """Yield the periodic tasks that may have a slot among the first ones.

    Those whose next slot is beyond the place, in the order of the agenda's index; all that had
    one before; and those that the agenda has not planned: changed a moment ago, or paused until
    a moment to come.
    """
    at, pk = after
    planned = tasks.filter(agenda__stale=False, agenda__due_at__lte=until)
    is_beyond = Q(agenda__due_at__gt=at) | Q(agenda__due_at=at, agenda__periodic_task_id__gt=pk)
    is_before = Q(agenda__due_at__lt=at) | Q(agenda__due_at=at, agenda__periodic_task_id__lte=pk)
    # "At or beyond" is what lets the database start from the index.
    following = planned.filter(is_beyond, agenda__due_at__gte=at)
    before = planned.filter(is_before, agenda__due_at__lte=at)
    resuming = tasks.filter(enabled=False, managed__paused_until__lte=until)
    return chain(
        following.order_by("agenda__due_at", "agenda__periodic_task_id")[:count],
        *(
            rows.iterator(chunk_size=READ_AT_ONCE)
            for rows in (before, unplanned(tasks)[:MAX_UNPLANNED], resuming)
        ),
    )


def unplanned(tasks: QuerySet[Any]) -> QuerySet[Any]:
    """Select the periodic tasks that beat has yet to plan, in the order in which it will."""
    changed = tasks.filter(agenda__stale=True, enabled=True)
    return changed.order_by("agenda__stale_at", "agenda__periodic_task_id")


def has_too_many_unplanned(tasks: QuerySet[Any]) -> bool:
    """Tell whether some are left out, since beat has yet to plan too many."""
    return bool(unplanned(tasks)[MAX_UNPLANNED : MAX_UNPLANNED + 1].exists())


def coming(task: PeriodicTask, *, after: Place) -> Iterator[Due]:
    """Yield the slots of a periodic task that are due after a place, as beat will take them up."""
    try:
        yield from beyond(after, all_due(task, at=after[0]))
    except InvalidSchedule:  # beat will not send it either
        return


def beyond(place: Place, dues: Iterator[Due]) -> Iterator[Due]:
    """Yield what has a later place."""
    return (due for due in dues if due[0] > place)


def all_due(task: PeriodicTask, *, at: datetime) -> Iterator[Due]:
    """Yield the slots of a periodic task, from about a moment on, and when each is due."""
    slot_at = next_run_at(task)
    if slot_at is None:
        return
    jitter = managed_settings(task).jitter_seconds
    agenda = agenda_of(task)
    is_planned = not agenda.stale and agenda.slot_at == slot_at and agenda.due_at
    due = agenda.due_at if is_planned else due_at(task.pk, slot_at, jitter)
    assert due is not None
    yield (due, task.pk), slot_at
    if task.one_off:
        return
    # Nothing that is due later has an earlier slot.
    after = max(at, due, EARLIEST) - timedelta(seconds=jitter) - ONE_MICROSECOND
    for slot in slots(task, after=max(slot_at, after)):
        later = due_at(task.pk, slot, jitter)
        if later > due:
            due = later
            yield (due, task.pk), slot
