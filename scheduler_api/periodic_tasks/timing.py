"""When a periodic task is due: its schedule, within its start and its end.

The one answer, for the API and for beat. It depends on the definition and on where the task stands
in the agenda; a task that is not stored, or that beat has never planned, stands nowhere yet, and
begins as it would under the stock scheduler.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import Any

from django_celery_beat.models import PeriodicTask

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.models import end_of_pause, is_enabled, is_paused
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.kinds import Interval, Schedule
from scheduler_api.schedules.rows import kind_of, schedule_of, values_of
from scheduler_api.schedules.slots import next_slot

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
AN_INSTANT = timedelta(microseconds=1)
OFF = "off"


@dataclass(frozen=True, kw_only=True)
class Start:
    """From where the slots of a periodic task are counted.

    Slots of an interval are `anchor_at` and k times its length. No slot up to `since_at` counts:
    the definition was another. None up to `after` is still to be served. `slot_at` is the next
    one, where that is known already.
    """

    anchor_at: datetime
    after: datetime
    since_at: datetime
    slot_at: datetime | None = None
    is_rearmed: bool = False


def schedule_row(task: PeriodicTask) -> Any:
    """Return the row of the schedule that a periodic task follows; None without one."""
    return task.interval or task.crontab or task.solar or task.clocked


def schedule_of_task(task: PeriodicTask) -> Schedule:
    """Return when a periodic task is due, start and end aside; raise InvalidSchedule."""
    return schedule_from(task, start_of(task).anchor_at)


def schedule_from(task: PeriodicTask, anchor_at: datetime) -> Schedule:
    """Return when a periodic task is due; an interval counts from `anchor_at`.

    Raises:
        InvalidSchedule: it has no schedule, or one that cannot be run.

    """
    row = schedule_row(task)
    if row is None:
        raise InvalidSchedule("There is no schedule.", field="schedule", code="no_schedule")
    return schedule_of(row, anchor=anchor_at)


# --- Where it stands --------------------------------------------------------------------------


def standing_of(task: PeriodicTask) -> Agenda | None:
    """Return where a periodic task stands; None while beat has never planned it."""
    if task.pk is None:
        return None
    try:
        standing: Agenda = task.agenda
    except Agenda.DoesNotExist:
        return None
    return standing if standing.timing else None


def digest_of(task: PeriodicTask) -> str:
    """Return a short text that differs where the slots would be others, at most 64 characters."""
    if not task.enabled:
        return OFF
    row = schedule_row(task)
    when = row and (kind_of(row).name, *map(str, values_of(row).values()))
    whole = repr((when, task.start_time, task.expires, task.one_off))
    return blake2b(whole.encode(), digest_size=16).hexdigest()


def start_of(task: PeriodicTask) -> Start:
    """Return from where the slots of a periodic task are counted.

    - Never planned: after the last run, or after the latest change of the row, as the stock
      scheduler does. A clocked task runs however long ago its moment was.
    - After a pause, or when it is enabled again: from then on.
    - With another schedule: after what was served, and not before that change. An interval of
      another length counts from the latest slot, so that frequent changes do not put it off.
    - Else where it was.
    """
    standing, resumed_at = standing_of(task), end_of_pause(task)
    if standing is None:
        return _first_start(task, resumed_at)
    served_at, since_at = standing.served_at or LONG_AGO, standing.since_at or LONG_AGO
    if resumed_at and resumed_at > since_at:
        return Start(anchor_at=resumed_at, after=resumed_at, since_at=resumed_at, is_rearmed=True)
    changed_at = standing.stale_at or LONG_AGO
    if standing.timing == OFF:
        return Start(anchor_at=changed_at, after=changed_at, since_at=changed_at, is_rearmed=True)
    anchor_at = standing.anchor_at or changed_at
    if standing.timing != digest_of(task):
        since_at = LONG_AGO if task.clocked else changed_at
        return Start(
            anchor_at=standing.served_at or anchor_at,
            after=max(served_at, since_at),
            since_at=since_at,
            # What had passed before the change is still to be served.
            slot_at=_passed(standing.slot_at, until=changed_at),
        )
    return Start(
        anchor_at=anchor_at,
        after=max(served_at, since_at),
        since_at=since_at,
        slot_at=standing.slot_at,
    )


def _passed(slot_at: datetime | None, *, until: datetime) -> datetime | None:
    return slot_at if slot_at and slot_at <= until else None


def _first_start(task: PeriodicTask, resumed_at: datetime | None) -> Start:
    last_run_at: datetime | None = task.last_run_at
    before = last_run_at or changed_at(task)
    after = max(LONG_AGO if task.clocked else before, resumed_at or LONG_AGO)
    if resumed_at and resumed_at > (last_run_at or task.start_time or LONG_AGO):
        return Start(anchor_at=resumed_at, after=after, since_at=after)
    row = schedule_row(task)
    if task.interval and task.start_time and not last_run_at:
        interval = schedule_of(row, anchor=before)
        assert isinstance(interval, Interval)
        before = anchor_of(task.start_time, interval)
    return Start(anchor_at=before, after=after, since_at=after)


def anchor_of(first: datetime, interval: Interval) -> datetime:
    """Return the moment one interval before the first slot, or the earliest there is."""
    return first - min(interval.every, first - datetime.min.replace(tzinfo=UTC))


def changed_at(task: PeriodicTask) -> datetime:
    """Return when the task was last written; one that is not stored yet, now."""
    changed: datetime | None = task.date_changed
    return changed or datetime.now(UTC)


# --- Its slots --------------------------------------------------------------------------------


def slots(task: PeriodicTask, *, after: datetime) -> Iterator[datetime]:
    """Yield the slots of a periodic task, whether it is enabled or not; raise InvalidSchedule."""
    schedule = schedule_of_task(task)
    after = max(after, end_of_pause(task) or LONG_AGO)
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
        after = start_time - AN_INSTANT
    slot = next_slot(schedule, after)
    return None if slot and expires and slot >= expires else slot


def upcoming_slots(task: PeriodicTask, *, after: datetime, count: int) -> list[datetime]:
    """Return the next slots at which it will run."""
    if never_runs(task):
        return []
    return list(islice(slots(task, after=after), count))


def next_run_at(task: PeriodicTask) -> datetime | None:
    """Return the slot that beat waits for, in the past when it is overdue."""
    standing = standing_of(task)
    if standing and not standing.stale and standing.timing != OFF:
        return standing.slot_at
    if never_runs(task):
        return None
    try:
        return first_slot(task, start_of(task))
    except InvalidSchedule:
        return None


def first_slot(task: PeriodicTask, start: Start) -> datetime | None:
    """Return the next slot to be served; None when there is none; raise InvalidSchedule."""
    if start.slot_at:
        return start.slot_at
    if is_done(task) and not start.is_rearmed:
        return None
    return slot_after(
        schedule_from(task, start.anchor_at),
        start.after,
        start_time=task.start_time,
        expires=task.expires,
    )


def never_runs(task: PeriodicTask) -> bool:
    """Tell whether it is disabled, has had its run, or is paused until somebody resumes it."""
    is_stopped = is_paused(task) and end_of_pause(task) is None
    return is_stopped or not is_enabled(task) or is_done(task)


def is_done(task: PeriodicTask) -> bool:
    """Tell whether it was to run once, and has."""
    return bool(task.one_off and task.total_run_count)
