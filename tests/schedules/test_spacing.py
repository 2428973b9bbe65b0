"""The shortest time between two slots of a schedule."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_api.schedules.crontab_fields import CrontabFields, parse_fields
from scheduler_api.schedules.kinds import Clocked, Interval, Solar
from scheduler_api.schedules.slots import upcoming
from scheduler_api.schedules.spacing import shortest_spacing
from tests.schedules.crontabs import UTC_ZONE, all_fields, crontab
from tests.schedules.test_crontab_oracles import crontab_or_reject, moments

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("schedule", "spacing"),
    [
        (Interval(every=timedelta(seconds=7), anchor=NOON), timedelta(seconds=7)),
        (Interval(every=400 * DAY, anchor=NOON), 400 * DAY),
        (Solar(event="sunset", latitude=52.52, longitude=13.405), DAY),
        (Clocked(at=NOON), None),
    ],
)
def test_shortest_spacing_of_intervals_solar_and_clocked_schedules(schedule, spacing):
    assert shortest_spacing(schedule) == spacing


@pytest.mark.parametrize(
    ("expression", "spacing"),
    [
        ("* * * * *", MINUTE),
        ("*/7 * * * *", 4 * MINUTE),  # 56 and 00
        ("*/5 * * * *", 5 * MINUTE),
        ("0,59 * * * *", MINUTE),
        ("0,59 */2 * * *", 59 * MINUTE),
        ("0,59 0 * * *", 59 * MINUTE),
        ("50-59/3 * * * *", 3 * MINUTE),
        ("30 * * * *", HOUR),
        ("30 */5 * * *", 4 * HOUR),  # 20:30 and 00:30
        ("0 9-17 * * mon-fri", HOUR),
        ("0 0,23 * * *", HOUR),
        ("0 0,23 * * mon,tue", HOUR),
        ("0 0,23 * * mon", 23 * HOUR),
        ("0 0,23 * * mon,thu", 23 * HOUR),
        ("0 0,23 31 * *", 23 * HOUR),
        ("0 0,23 31,1 * *", HOUR),
        ("0 0,23 28,1 2,3 *", HOUR),  # in a year with 28 days in February
        ("0 0,23 29,1 2,3 *", HOUR),  # in a leap year
        ("0 0,23 30,1 4,6 *", 23 * HOUR),
        ("30 7 * * *", DAY),
        ("30 7 * * mon", 7 * DAY),
        ("30 7 * * mon,wed", 2 * DAY),
        ("30 7 * * sat,sun", DAY),
        ("30 7 * * fri,mon", 3 * DAY),
        ("30 7 1 * *", 28 * DAY),
        ("30 7 1 4-12 *", 30 * DAY),
        ("30 7 31 * *", 31 * DAY),
        ("30 7 1,15 * *", 14 * DAY),
        ("30 7 */2 * *", DAY),  # 31 and 1
        ("30 7 */2 4 *", 2 * DAY),
        ("30 7 13 * fri", 28 * DAY),
        ("30 7 1-7 * mon", 28 * DAY),
        ("30 7 1,31 1,12 mon,sun", DAY),  # New Year's Eve on a Sunday
        ("30 7 1,31 1,12 mon,sat", 30 * DAY),  # both in December
        ("0 0 1 1 *", 365 * DAY),
        ("0 0 29 2 *", 1461 * DAY),
        ("0 0 29 2 1", 12 * 365 * DAY + 2 * DAY),  # around a year 2100
    ],
)
def test_shortest_spacing_of_a_crontab(expression, spacing):
    assert shortest_spacing(crontab(expression)) == spacing


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
@pytest.mark.parametrize("expression", ["0 0,23 * * *", "0 */2 * * *", "30 1,3 * * *"])
def test_shortest_spacing_ignores_clock_changes(expression, zone):
    assert shortest_spacing(crontab(expression, zone)) == shortest_spacing(crontab(expression))


@given(fields=all_fields, after=moments)
@settings(max_examples=200)
def test_no_two_slots_are_closer_than_the_shortest_spacing(fields, after):
    schedule = crontab_or_reject(fields, UTC_ZONE)

    slots = upcoming(schedule, after=after, count=100)

    assert all(later - earlier >= shortest_spacing(schedule) for earlier, later in pairwise(slots))


@cache
def days_of_800_years() -> list[tuple[int, date, int]]:
    """The days of 800 years, of which the days_of_800_years repeats 400, each with its weekday."""
    first, last = date(2000, 1, 1).toordinal(), date(2800, 1, 1).toordinal()
    days = ((number, date.fromordinal(number)) for number in range(first, last))
    return [(number, day, day.isoweekday() % 7) for number, day in days]


@given(fields=all_fields, hour=st.integers(0, 23).map(str))
@settings(max_examples=40)
def test_shortest_spacing_equals_a_search_of_800_years(fields, hour):
    once_a_day = CrontabFields("0", hour, *fields[2:])
    schedule = crontab_or_reject(once_a_day, UTC_ZONE)
    values = parse_fields(once_a_day)

    days = [
        number
        for number, day, weekday in days_of_800_years()
        if day.day in values.days_of_month
        and day.month in values.months
        and weekday in values.weekdays
    ]

    assert shortest_spacing(schedule) == min(b - a for a, b in pairwise(days)) * DAY
