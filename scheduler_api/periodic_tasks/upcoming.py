"""The next slots of many periodic tasks, in the order of their due times.

Of the planned tasks, only as many are read as a page has rows: no other can come before them. If
the page starts later than now, tasks with slots before its start are read, too.
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

CHUNK_SIZE = 500
# Unplanned tasks are evaluated from their definitions, which is slower. Beat plans this many in
# one or two seconds.
MAX_UNPLANNED = 2000
# A due time and the id of a periodic task: the order of all results.
Cursor = tuple[datetime, int]
# The cursor of a slot, and the slot.
DueSlot = tuple[Cursor, datetime]


@dataclass(frozen=True, kw_only=True)
class UpcomingSlot:
    """An upcoming slot of a periodic task."""

    due_at: datetime
    slot_at: datetime
    task: PeriodicTask

    @property
    def schedule(self) -> Any:
        """Return the schedule row of the periodic task."""
        return schedule_row(self.task)


def upcoming_of(
    tasks: QuerySet[Any], *, after: Cursor, until: datetime, count: int
) -> list[UpcomingSlot]:
    """Return the first slots of periodic tasks that are due after a cursor and by `until`."""
    # Each of the `count` first tasks has a slot here, so no other task reaches the page.
    first = nsmallest(
        count, slot_streams(tasks, after=after, until=until, count=count), key=cursor_of
    )
    heapify(first)
    found: list[UpcomingSlot] = []
    while first and len(found) < count:
        (due, _), slot_at, task, stream = first[0]
        if due > until:
            break
        found.append(UpcomingSlot(due_at=due, slot_at=slot_at, task=task))
        following = next(stream, None)
        if following:
            heapreplace(first, (*following, task, stream))
        else:
            heappop(first)
    return found


SlotStream = tuple[Cursor, datetime, PeriodicTask, Iterator[DueSlot]]


def cursor_of(stream: SlotStream) -> Cursor:
    """Return the cursor of the next slot of a periodic task."""
    return stream[0]


def slot_streams(
    tasks: QuerySet[Any], *, after: Cursor, until: datetime, count: int
) -> Iterator[SlotStream]:
    """Yield the periodic tasks that may come first, each with its next and its later slots."""
    seen: set[int] = set()
    for task in candidates(tasks, after=after, until=until, count=count):
        if task.pk in seen:  # changed or planned between two of the queries
            continue
        seen.add(task.pk)
        stream = due_slots_after(task, after=after)
        with suppress(StopIteration):
            cursor, slot_at = next(stream)
            yield cursor, slot_at, task, stream


def candidates(
    tasks: QuerySet[Any], *, after: Cursor, until: datetime, count: int
) -> Iterator[PeriodicTask]:
    """Yield the periodic tasks that may have a slot among the first ones.

    These are: tasks whose next slot is after the cursor, in the order of the agenda's index; all
    tasks with an earlier next slot; and tasks that beat has not planned, because they changed a
    moment ago or are paused until a given time.
    """
    at, pk = after
    planned = tasks.filter(agenda__stale=False, agenda__due_at__lte=until)
    is_after = Q(agenda__due_at__gt=at) | Q(agenda__due_at=at, agenda__periodic_task_id__gt=pk)
    is_before = Q(agenda__due_at__lt=at) | Q(agenda__due_at=at, agenda__periodic_task_id__lte=pk)
    # The condition "at or after" lets the database start from the index.
    following = planned.filter(is_after, agenda__due_at__gte=at)
    before = planned.filter(is_before, agenda__due_at__lte=at)
    resuming = tasks.filter(enabled=False, managed__paused_until__lte=until)
    return chain(
        following.order_by("agenda__due_at", "agenda__periodic_task_id")[:count],
        *(
            rows.iterator(chunk_size=CHUNK_SIZE)
            for rows in (before, unplanned(tasks)[:MAX_UNPLANNED], resuming)
        ),
    )


def unplanned(tasks: QuerySet[Any]) -> QuerySet[Any]:
    """Select the periodic tasks that beat has not planned yet, in its order of planning."""
    changed = tasks.filter(agenda__stale=True, enabled=True)
    return changed.order_by("agenda__stale_at", "agenda__periodic_task_id")


def has_too_many_unplanned(tasks: QuerySet[Any]) -> bool:
    """Return whether results are incomplete because too many tasks are unplanned."""
    return bool(unplanned(tasks)[MAX_UNPLANNED : MAX_UNPLANNED + 1].exists())


def due_slots_after(task: PeriodicTask, *, after: Cursor) -> Iterator[DueSlot]:
    """Yield the slots of a periodic task that are due after a cursor, as beat will send them."""
    try:
        yield from later_than(after, due_slots(task, at=after[0]))
    except InvalidSchedule:  # beat will not send it either
        return


def later_than(cursor: Cursor, found: Iterator[DueSlot]) -> Iterator[DueSlot]:
    """Yield the slots with a later cursor."""
    return (due_slot for due_slot in found if due_slot[0] > cursor)


def due_slots(task: PeriodicTask, *, at: datetime) -> Iterator[DueSlot]:
    """Yield the slots of a periodic task with their cursors, starting about `at`."""
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
    # Due times follow the order of the slots.
    after = max(at, due, EPOCH) - timedelta(seconds=jitter) - ONE_MICROSECOND
    for slot in slots(task, after=max(slot_at, after)):
        later = due_at(task.pk, slot, jitter)
        if later > due:
            due = later
            yield (due, task.pk), slot
