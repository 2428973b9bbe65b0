"""The slots of periodic tasks, as tables; nothing is stored."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from scheduler_api.periodic_tasks.slots import (
    is_done,
    next_run_at,
    schedule_of_task,
    slots,
    upcoming_slots,
)
from scheduler_api.periodic_tasks.task_schedule import schedule_row
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.kinds import Interval

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
YEAR_1 = datetime.min.replace(tzinfo=UTC)
YEAR_9999 = datetime.max.replace(tzinfo=UTC)


@pytest.fixture(autouse=True)
def _at_noon(time_machine):
    time_machine.move_to(NOON, tick=False)


def hourly(**columns: Any) -> PeriodicTask:
    """Return an hourly task that was stored 90 minutes ago."""
    interval = IntervalSchedule(every=1, period="hours")
    return PeriodicTask(**{"interval": interval, "date_changed": NOON - 1.5 * HOUR, **columns})


def half_past(**columns: Any) -> PeriodicTask:
    """Return a task that was stored at 10:45 and runs at half past each hour."""
    crontab = CrontabSchedule(minute="30", timezone=ZoneInfo("UTC"))
    return PeriodicTask(**{"crontab": crontab, "date_changed": NOON - 1.25 * HOUR, **columns})


def clocked(at: datetime, **columns: Any) -> PeriodicTask:
    """Return a clocked task that was stored 90 minutes ago."""
    row = ClockedSchedule(clocked_time=at)
    return PeriodicTask(
        **{"clocked": row, "one_off": True, "date_changed": NOON - 1.5 * HOUR, **columns}
    )


@pytest.mark.parametrize(
    ("task", "slot"),
    [
        # Never run: overdue since one hour after it was stored.
        (hourly(), NOON - 0.5 * HOUR),
        (hourly(date_changed=NOON - MINUTE), NOON + HOUR - MINUTE),
        (hourly(date_changed=None), NOON + HOUR),
        # Run before: one hour after that run.
        (hourly(last_run_at=NOON - MINUTE, total_run_count=1), NOON + HOUR - MINUTE),
        (hourly(last_run_at=NOON - 3 * HOUR, total_run_count=1), NOON - 2 * HOUR),
        (hourly(last_run_at=NOON - MINUTE, date_changed=NOON), NOON + HOUR - MINUTE),
        # Within start_time and expires.
        (hourly(start_time=NOON + 5 * MINUTE), NOON + 5 * MINUTE),
        (hourly(start_time=NOON - 2 * HOUR), NOON - HOUR),
        (hourly(start_time=YEAR_1), NOON - HOUR),
        (hourly(start_time=YEAR_9999), YEAR_9999),
        (hourly(start_time=NOON + 2.5 * HOUR, last_run_at=NOON), NOON + 3 * HOUR),
        (hourly(expires=NOON - 0.5 * HOUR), None),
        (hourly(expires=NOON), NOON - 0.5 * HOUR),
        (hourly(last_run_at=NOON, expires=NOON + HOUR), None),
        (hourly(last_run_at=NOON, expires=NOON + HOUR + MINUTE), NOON + HOUR),
        (hourly(start_time=NOON + HOUR, expires=NOON + HOUR), None),
        # Disabled, or done.
        (hourly(enabled=False), None),
        (hourly(one_off=True), NOON - 0.5 * HOUR),
        (hourly(one_off=True, last_run_at=NOON, total_run_count=1), None),
        (hourly(one_off=True, last_run_at=NOON, total_run_count=0), NOON + HOUR),
    ],
)
def test_next_run_at_of_an_interval(task, slot):
    assert next_run_at(task) == slot


@pytest.mark.parametrize(
    ("task", "slot"),
    [
        (half_past(), NOON - 0.5 * HOUR),
        (half_past(date_changed=NOON), NOON + 0.5 * HOUR),
        (half_past(date_changed=None), NOON + 0.5 * HOUR),
        (half_past(last_run_at=NOON - 0.5 * HOUR), NOON + 0.5 * HOUR),
        (half_past(last_run_at=NOON - 3 * HOUR), NOON - 2.5 * HOUR),
        (half_past(start_time=NOON + 0.5 * HOUR), NOON + 0.5 * HOUR),
        (half_past(start_time=NOON + 0.5 * HOUR + MINUTE), NOON + 1.5 * HOUR),
        (half_past(start_time=YEAR_1), NOON - 0.5 * HOUR),
        (half_past(start_time=YEAR_9999), None),
        (half_past(expires=NOON - 0.5 * HOUR), None),
        (half_past(expires=NOON), NOON - 0.5 * HOUR),
        (half_past(enabled=False), None),
        (half_past(one_off=True, total_run_count=1), None),
    ],
)
def test_next_run_at_of_a_crontab(task, slot):
    assert next_run_at(task) == slot


@pytest.mark.parametrize(
    ("task", "slot"),
    [
        (clocked(NOON + MINUTE), NOON + MINUTE),
        (clocked(NOON - MINUTE), NOON - MINUTE),
        (clocked(NOON - 48 * HOUR), NOON - 48 * HOUR),
        (clocked(NOON - MINUTE, last_run_at=NOON, total_run_count=1), None),
        (clocked(NOON + MINUTE, last_run_at=NOON - HOUR), NOON + MINUTE),
        (clocked(NOON + MINUTE, enabled=False), None),
        (clocked(NOON + MINUTE, start_time=NOON + MINUTE), NOON + MINUTE),
        (clocked(NOON + MINUTE, start_time=NOON + 2 * MINUTE), None),
        (clocked(NOON + MINUTE, expires=NOON + MINUTE), None),
        (clocked(NOON + MINUTE, expires=NOON + 2 * MINUTE), NOON + MINUTE),
    ],
)
def test_next_run_at_of_a_clocked_task(task, slot):
    assert next_run_at(task) == slot


def test_next_run_at_of_a_solar_task():
    greenwich = SolarSchedule(event="solar_noon", latitude=51.5, longitude=0)
    task = PeriodicTask(solar=greenwich, date_changed=NOON - HOUR)

    slot = next_run_at(task)

    assert abs(slot - NOON) < timedelta(minutes=17)  # the equation of time


@pytest.mark.parametrize(
    "task",
    [
        PeriodicTask(),
        PeriodicTask(interval=IntervalSchedule(every=0, period="seconds")),
        PeriodicTask(interval=IntervalSchedule(every=2147483647, period="days")),
        PeriodicTask(crontab=CrontabSchedule(minute="*/")),
        PeriodicTask(solar=SolarSchedule(event="moonrise", latitude=0, longitude=0)),
    ],
)
def test_next_run_at_of_an_invalid_schedule_is_none(task):
    assert next_run_at(task) is None
    with pytest.raises(InvalidSchedule):
        schedule_of_task(task)
    with pytest.raises(InvalidSchedule):
        next(slots(task, after=NOON))


@pytest.mark.parametrize(
    ("columns", "anchor"),
    [
        ({}, NOON - 1.5 * HOUR),
        ({"date_changed": None}, NOON),
        ({"start_time": NOON + 5 * MINUTE}, NOON + 5 * MINUTE - HOUR),
        ({"start_time": YEAR_1 + MINUTE}, YEAR_1),
        ({"last_run_at": NOON - MINUTE}, NOON - MINUTE),
        ({"last_run_at": NOON - MINUTE, "start_time": NOON + 5 * MINUTE}, NOON - MINUTE),
    ],
)
def test_anchor_of_an_interval(columns, anchor):
    assert schedule_of_task(hourly(**columns)) == Interval(every=HOUR, anchor=anchor)


@pytest.mark.parametrize(
    ("task", "after", "found"),
    [
        (half_past(), NOON, [0.5, 1.5, 2.5]),
        (half_past(), NOON - 24 * HOUR, [-23.5, -22.5, -21.5]),
        (half_past(start_time=NOON + 2.5 * HOUR), NOON, [2.5, 3.5, 4.5]),
        (half_past(start_time=NOON - 2.5 * HOUR), NOON, [0.5, 1.5, 2.5]),
        (half_past(start_time=NOON + 0.5 * HOUR), NOON + 0.5 * HOUR, [1.5, 2.5, 3.5]),
        (half_past(expires=NOON + 1.5 * HOUR), NOON, [0.5]),
        (half_past(expires=NOON + 1.5 * HOUR + MINUTE), NOON, [0.5, 1.5]),
        (half_past(expires=NOON), NOON, []),
        (half_past(one_off=True), NOON, [0.5]),
        (half_past(one_off=True, total_run_count=1), NOON, []),
        (half_past(total_run_count=1), NOON, [0.5, 1.5, 2.5]),
        (half_past(enabled=False), NOON, []),
        (hourly(last_run_at=NOON - 0.25 * HOUR), NOON, [0.75, 1.75, 2.75]),
        (clocked(NOON + HOUR), NOON, [1]),
        (clocked(NOON + HOUR), NOON + HOUR, []),
        (clocked(NOON + HOUR, one_off=False), NOON, [1]),
    ],
)
def test_upcoming_slots(task, after, found):
    upcoming = upcoming_slots(task, after=after, count=3)

    assert upcoming == [NOON + hours * HOUR for hours in found]


def test_slots_of_a_disabled_task_are_listed():
    assert next(slots(half_past(enabled=False), after=NOON)) == NOON + 0.5 * HOUR


@pytest.mark.parametrize(
    ("one_off", "total_run_count", "done"),
    [(False, 0, False), (False, 5, False), (True, 0, False), (True, 1, True)],
)
def test_is_done(one_off, total_run_count, done):
    assert is_done(hourly(one_off=one_off, total_run_count=total_run_count)) is done


def test_schedule_row_is_the_one_that_is_set():
    assert schedule_row(PeriodicTask()) is None
    for kind, row in {
        "interval": IntervalSchedule(),
        "crontab": CrontabSchedule(),
        "solar": SolarSchedule(),
        "clocked": ClockedSchedule(),
    }.items():
        assert schedule_row(PeriodicTask(**{kind: row})) is row
