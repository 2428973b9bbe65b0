"""The rule for clock changes, as tables and compared with a minute-by-minute search."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones
from zoneinfo._zoneinfo import ZoneInfo as PythonZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_api.schedules.crontab_fields import CrontabFields, parse_fields
from scheduler_api.schedules.kinds import Crontab
from scheduler_api.schedules.slots import next_slot, upcoming
from tests.schedules.crontabs import crontab, field_texts

MINUTE = timedelta(minutes=1)


def local_slots(schedule: Crontab, start: str, count: int) -> list[str]:
    """Return the slots from a wall time on, as wall times with their offsets."""
    after = datetime.fromisoformat(start).replace(tzinfo=schedule.timezone) - MINUTE
    return [
        slot.astimezone(schedule.timezone).strftime("%m-%d %H:%M:%S %z")
        for slot in upcoming(schedule, after=after, count=count)
    ]


@pytest.mark.parametrize(
    ("expression", "slots"),
    [
        # A gap from 02:00 to 03:00 on 29 March. A fixed wall time moves to its end,
        ("30 2 29 3 *", ["03-29 03:00:00 +0200"]),
        ("0 2 29 3 *", ["03-29 03:00:00 +0200"]),
        # once for all wall times in the gap, and merges with a regular slot there.
        ("*/20 2 29 3 *", ["03-29 03:00:00 +0200"]),
        (
            "15 1-3 29 3 *",
            ["03-29 01:15:00 +0100", "03-29 03:00:00 +0200", "03-29 03:15:00 +0200"],
        ),
        ("0 1-3 29 3 *", ["03-29 01:00:00 +0100", "03-29 03:00:00 +0200"]),
        # In elapsed time, the gap has no slot.
        ("30 */2 29 3 *", ["03-29 00:30:00 +0100", "03-29 04:30:00 +0200"]),
        ("30 * 29 3 *", ["03-29 00:30:00 +0100", "03-29 01:30:00 +0100", "03-29 03:30:00 +0200"]),
        # A repeated hour from 02:00 to 03:00 on 25 October: fixed wall times run in the first,
        ("30 2 25 10 *", ["10-25 02:30:00 +0200"]),
        (
            "30 1-3 25 10 *",
            ["10-25 01:30:00 +0200", "10-25 02:30:00 +0200", "10-25 03:30:00 +0100"],
        ),
        (
            "30 1-22 25 10 *",
            ["10-25 01:30:00 +0200", "10-25 02:30:00 +0200", "10-25 03:30:00 +0100"],
        ),
        # elapsed time in both, also if the hours of a whole day are listed.
        (
            "*/30 0-23 25 10 *",
            [
                *("10-25 00:00:00 +0200", "10-25 00:30:00 +0200", "10-25 01:00:00 +0200"),
                *("10-25 01:30:00 +0200", "10-25 02:00:00 +0200", "10-25 02:30:00 +0200"),
                *("10-25 02:00:00 +0100", "10-25 02:30:00 +0100", "10-25 03:00:00 +0100"),
            ],
        ),
        (
            "30 */2 25 10 *",
            ["10-25 00:30:00 +0200", "10-25 02:30:00 +0200", "10-25 02:30:00 +0100"],
        ),
        ("59 * 25 10 *", ["10-25 00:59:00 +0200", "10-25 01:59:00 +0200", "10-25 02:59:00 +0200"]),
    ],
)
def test_crontab_slots_at_a_clock_change_in_berlin(expression, slots):
    assert local_slots(crontab(expression, "Europe/Berlin"), "2026-01-01", len(slots)) == slots


def test_every_minute_has_180_slots_in_three_hours_around_the_autumn_change():
    schedule = crontab("* * * * *", "Europe/Berlin")

    slots = upcoming(
        schedule,
        after=datetime(2026, 10, 24, 23, 0, tzinfo=UTC),
        until=datetime(2026, 10, 25, 2, 0, tzinfo=UTC),
        count=1000,
    )

    assert len(slots) == 180


@pytest.mark.parametrize(
    ("zone", "expression", "start", "slots"),
    [
        # a change by half an hour
        ("Australia/Lord_Howe", "15 2 4 10 *", "2026-01-01", ["10-04 02:30:00 +1100"]),
        (
            "Australia/Lord_Howe",
            "45 1 * * *",
            "2026-04-04T12:00",
            ["04-05 01:45:00 +1100", "04-06 01:45:00 +1030"],
        ),
        (
            "Australia/Lord_Howe",
            "45 * 5 4 *",
            "2026-04-05T01:00",
            ["04-05 01:45:00 +1100", "04-05 01:45:00 +1030"],
        ),
        # a change at midnight
        ("Africa/Cairo", "0 0 24 4 *", "2026-01-01", ["04-24 01:00:00 +0300"]),
        # an hour repeated at midnight is the last of a day that a crontab names
        (
            "Africa/Cairo",
            "30 * * * thu",
            "2026-10-29T23:00",
            ["10-29 23:30:00 +0300", "10-29 23:30:00 +0200", "11-05 00:30:00 +0200"],
        ),
        (
            "Pacific/Kwajalein",
            "0 */12 30 9 *",
            "1969-09-30T12:00",
            ["09-30 12:00:00 +1100", "09-30 12:00:00 -1200", "09-30 00:00:00 -1200"],
        ),
        ("America/Havana", "30 0 8 3 *", "2026-01-01", ["03-08 01:00:00 -0400"]),
        (
            "America/Havana",
            "30 */12 1 11 *",
            "2026-01-01",
            ["11-01 00:30:00 -0400", "11-01 00:30:00 -0500", "11-01 12:30:00 -0500"],
        ),
        # a whole skipped day, and the days before and after it
        (
            "Pacific/Apia",
            "30 12 * * *",
            "2011-12-29",
            ["12-29 12:30:00 -1000", "12-31 00:00:00 +1400", "12-31 12:30:00 +1400"],
        ),
        (
            "Pacific/Apia",
            "30 */12 * * *",
            "2011-12-29T12:00",
            ["12-29 12:30:00 -1000", "12-31 00:30:00 +1400"],
        ),
        # 23 repeated hours
        (
            "Pacific/Kwajalein",
            "0 12 * * *",
            "1969-09-29T13:00",
            ["09-30 12:00:00 +1100", "10-01 12:00:00 -1200"],
        ),
        # a change at one minute past midnight
        (
            "America/St_Johns",
            "*/30 0 * * *",
            "2010-03-14",
            ["03-14 00:00:00 -0330", "03-14 01:01:00 -0230", "03-15 00:00:00 -0230"],
        ),
        # a single change, by a quarter of an hour
        ("Asia/Kathmandu", "5 0 1 1 *", "1985-06-01", ["01-01 00:15:00 +0545"]),
        # tzdata defines winter time as the exception
        ("Europe/Dublin", "30 1 29 3 *", "2026-01-01", ["03-29 02:00:00 +0100"]),
        # an offset with seconds: the zone's first was +00:53:28
        ("Europe/Berlin", "30 7 * * *", "1890-01-01", ["01-01 07:30:00 +005328"]),
        ("Europe/Berlin", "30 * * * *", "1890-01-01", ["01-01 00:30:28 +005328"]),
    ],
)
def test_crontab_slots_at_unusual_clock_changes(zone, expression, start, slots):
    assert local_slots(crontab(expression, zone), start, len(slots)) == slots


CHANGES = [
    ("Africa/Cairo", "2026-04-24"),
    ("Africa/Cairo", "2026-10-29"),
    ("Africa/Casablanca", "2026-02-15"),
    ("Africa/Casablanca", "2026-03-22"),
    ("America/Havana", "2026-03-08"),
    ("America/Havana", "2026-11-01"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("America/Sao_Paulo", "2018-02-18"),
    ("America/Sao_Paulo", "2018-11-04"),
    ("America/St_Johns", "2010-03-14"),
    ("America/St_Johns", "2010-11-07"),
    ("America/St_Johns", "2026-03-08"),
    ("America/St_Johns", "2026-11-01"),
    ("Antarctica/Troll", "2026-03-29"),
    ("Antarctica/Troll", "2026-10-25"),
    ("Asia/Beirut", "2026-03-29"),
    ("Asia/Beirut", "2026-10-25"),
    ("Asia/Kathmandu", "1986-01-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("Europe/Dublin", "2026-03-29"),
    ("Europe/Dublin", "2026-10-25"),
    ("Pacific/Apia", "2011-12-30"),
    ("Pacific/Apia", "2020-09-27"),
    ("Pacific/Apia", "2021-04-04"),
    ("Pacific/Kwajalein", "1969-09-30"),
]
DENSE_HOURS = st.sampled_from(
    ["*", "*/2", "*/5", "*/24", "0-23", "22-21", "*,3", "0-22", "0", "1", "2", "1-3", "22-2"]
)


@lru_cache
def clock_around(zone: ZoneInfo, day: str) -> dict[datetime, datetime]:
    """Return the wall time of each UTC minute of four days."""
    first = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=1.5)
    moments = [first + minute * MINUTE for minute in range(4 * 24 * 60)]
    return {moment: moment.astimezone(zone).replace(tzinfo=None) for moment in moments}


def slots_found_minute_by_minute(
    schedule: Crontab, clock: dict[datetime, datetime]
) -> list[datetime]:
    """Apply the rule literally: check every minute of the clock, or of the calendar."""
    values = parse_fields(schedule.fields)

    def matches(wall: datetime) -> bool:
        return (
            wall.minute in values.minutes
            and wall.hour in values.hours
            and wall.day in values.days_of_month
            and wall.month in values.months
            and wall.isoweekday() % 7 in values.weekdays
        )

    is_every_nth_hour = schedule.hour[0] == "*" and "," not in schedule.hour
    if len(values.hours) == 24 or (is_every_nth_hour and len(values.hours) > 1):
        return [moment for moment, wall in clock.items() if matches(wall)]

    first_occurrences: dict[datetime, datetime] = {}
    for moment, wall in clock.items():
        first_occurrences.setdefault(wall, moment)
    for before, after in pairwise(clock):
        gap = clock[before] + MINUTE
        while gap < clock[after]:
            first_occurrences[gap] = after
            gap += MINUTE
    return sorted({moment for wall, moment in first_occurrences.items() if matches(wall)})


@pytest.mark.parametrize(("zone", "day"), CHANGES)
@given(
    fields=st.builds(
        CrontabFields,
        minute=field_texts(0, 59),
        hour=st.one_of(DENSE_HOURS, field_texts(0, 23)),
        day_of_month=st.sampled_from(["*", "*", "*/2", "1-7", "8", "25-31"]),
        month_of_year=st.just("*"),
        day_of_week=st.sampled_from(["*", "*", "*", "0", "1-5"]),
    )
)
@settings(max_examples=15)
def test_crontab_slots_equal_a_search_minute_by_minute(zone, day, fields):
    schedule = Crontab(**fields._asdict(), timezone=ZoneInfo(zone))
    clock = clock_around(schedule.timezone, day)
    first, *_, last = clock

    slots = upcoming(schedule, after=first - MINUTE, until=last, count=len(clock))

    assert slots == slots_found_minute_by_minute(schedule, clock)


@pytest.mark.parametrize("hour", ["0-23", "*/1", "22-21", "*/2,1-23/2", "*,3"])
@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_hours_of_a_whole_day_have_the_slots_of_a_star(zone, day, hour):
    first, *_, last = clock_around(ZoneInfo(zone), day)

    slots, stars = (
        upcoming(crontab(f"*/20 {hour} * * *", zone), after=first, until=last, count=600)
        for hour in (hour, "*")
    )

    assert slots == stars


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_each_listed_day_has_one_clock_change(zone, day):
    offsets = {
        moment.replace(tzinfo=None) - wall
        for moment, wall in clock_around(ZoneInfo(zone), day).items()
    }

    assert len(offsets) == 2


@pytest.mark.parametrize("expression", ["*/7 * * * *", "*/7 0-22 * * *"])
@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_next_slot_is_the_same_from_any_time_before_it(zone, day, expression):
    schedule = crontab(expression, zone)
    first, *_ = clock_around(schedule.timezone, day)
    slots = upcoming(schedule, after=first, count=600)

    for earlier, later in pairwise(slots):
        for moment in (earlier, (earlier + (later - earlier) / 2), later - later.resolution):
            assert next_slot(schedule, moment) == later


def test_no_zone_changes_its_clock_twice_within_three_days():
    """The engine assumes at most one change in two days; a tzdata release could break that."""
    spans = {}
    for name in available_timezones():
        zone = PythonZoneInfo.no_cache(name)  # unlike the C version, it exposes its transitions
        offsets = [zone._tti_before.utcoff, *(kind.utcoff for kind in zone._ttinfos)]
        changes = [
            at
            for at, (old, new) in zip(zone._trans_utc, pairwise(offsets), strict=True)
            if old != new
        ]
        spans |= {(name, later): later - earlier for earlier, later in pairwise(changes)}

    assert min(spans.values()) > timedelta(days=3).total_seconds()
