"""Slots of crontabs compared with other programs, where both define them alike."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import celery.schedules
import pytest
from croniter import croniter
from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scheduler_api.schedules.crontab_fields import CrontabFields, parse_fields
from scheduler_api.schedules.kinds import Crontab, InvalidSchedule
from scheduler_api.schedules.slots import next_slot, upcoming
from tests.schedules.crontabs import UTC_ZONE, all_fields, crontab, field_texts

YEAR_2000 = datetime(2000, 1, 1, tzinfo=UTC)
moments = st.timedeltas(timedelta(days=-9000), timedelta(days=33000)).map(YEAR_2000.__add__)


def crontab_or_reject(fields: CrontabFields, zone: ZoneInfo) -> Crontab:
    try:
        return Crontab(**fields._asdict(), timezone=zone)
    except InvalidSchedule:
        assume(False)
        raise


def portable_fields(schedule: Crontab) -> tuple[str, ...]:
    """Return the fields in a syntax that all programs share: stars, or else lists of numbers.

    They refuse a step longer than the field, and cronsim takes hours of a whole day without a star
    for fixed wall times.
    """
    values = parse_fields(schedule.fields)
    numbers = (
        *(values.minutes, values.hours),
        *(values.days_of_month, values.months, values.weekdays),
    )
    minute, hour, *days = (
        text
        if text[0] == "*" and "," not in text and len(field) > 1
        else ",".join(map(str, field))
        for text, field in zip(schedule.fields, numbers, strict=True)
    )
    return minute, "*" if len(values.hours) == 24 else hour, *days


@given(fields=all_fields, after=moments)
@settings(max_examples=300)
def test_crontab_slots_equal_those_of_croniter(fields, after):
    schedule = crontab_or_reject(fields, UTC_ZONE)
    slots = upcoming(schedule, after=after, count=3)
    # By default, it combines day of month and day of week with OR, and searches fewer years.
    oracle = croniter(
        " ".join(portable_fields(schedule)),
        after,
        ret_type=datetime,
        day_or=False,
        max_years_between_matches=50,
    )

    assert slots == list(islice(oracle.all_next(), 3))


@given(fields=all_fields, after=moments)
@settings(max_examples=300)
def test_crontab_slots_equal_those_of_cronsim(fields, after):
    schedule = crontab_or_reject(fields, UTC_ZONE)
    spelling = portable_fields(schedule)
    # It combines day of month and day of week with OR, unless one of them begins with a star.
    assume("*" in spelling[2] + spelling[4])

    slots = upcoming(schedule, after=after, count=3)

    assert slots == list(islice(CronSim(" ".join(spelling), after), 3))


@pytest.mark.parametrize(
    "zone",
    ["Africa/Cairo", "America/Havana", "America/New_York", "Europe/Berlin", "Europe/Dublin"],
)
@given(
    minute=field_texts(0, 59),
    hour=field_texts(0, 23),
    day=st.integers(0, 364),
    seconds=st.integers(0, 86399),
)
@settings(max_examples=60)
def test_crontab_slots_at_clock_changes_equal_those_of_cronsim(zone, minute, hour, day, seconds):
    schedule = crontab_or_reject(CrontabFields(minute, hour), ZoneInfo(zone))
    spelling = portable_fields(schedule)
    # It treats a minute that begins with a star as elapsed time, for any hour.
    assume("*" in spelling[1] or "*" not in spelling[0])
    after = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day, seconds=seconds)

    slots = upcoming(schedule, after=after, count=50)

    oracle = CronSim(" ".join(spelling), after.astimezone(schedule.timezone))
    assert slots == [slot.astimezone(UTC) for slot in islice(oracle, 50)]


@given(fields=all_fields, after=moments)
@settings(max_examples=300)
def test_next_crontab_slot_equals_that_of_celery(fields, after):
    schedule = crontab_or_reject(fields, UTC_ZONE)
    after = after.replace(second=0, microsecond=0)
    oracle = celery.schedules.crontab(**fields._asdict(), nowfun=lambda: after)
    try:
        remaining = oracle.remaining_estimate(after)
    except RuntimeError:  # its search does not reach rare days
        assume(False)

    assert next_slot(schedule, after) == after + remaining


@pytest.mark.parametrize(
    ("expression", "after", "slots"),
    [
        ("0 0 29 2 *", "2095-01-01", ["2096-02-29", "2104-02-29"]),
        ("0 0 29 2 1", "2000-01-01", ["2016-02-29", "2044-02-29", "2072-02-29"]),
        ("0 0 29 2 1", "2072-03-01", ["2112-02-29"]),
        ("0 0 31 * 5", "2026-08-01", ["2027-12-31", "2028-03-31"]),
        ("0 0 13 * fri", "2026-01-01", ["2026-02-13", "2026-03-13", "2026-11-13"]),
        ("0 0 1-7 * 1", "2026-01-01", ["2026-01-05", "2026-02-02"]),
    ],
)
def test_crontab_requires_day_of_month_and_day_of_week_to_match(expression, after, slots):
    found = upcoming(
        crontab(expression),
        after=datetime.fromisoformat(after).replace(tzinfo=UTC),
        count=len(slots),
    )

    assert [f"{slot:%Y-%m-%d}" for slot in found] == slots


@pytest.mark.parametrize("hour", ["*", "0-22"])
@pytest.mark.parametrize("zone", ["UTC", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_rarest_crontab_day_is_found_across_40_years_of_clock_changes(zone, hour):
    schedule = crontab(f"* {hour} 29 2 1", zone)

    slot = next_slot(schedule, datetime(2072, 3, 1, 12, tzinfo=UTC))

    assert slot == datetime(2112, 2, 29, tzinfo=schedule.timezone).astimezone(UTC)
