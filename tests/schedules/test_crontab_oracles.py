"""Other programs' crontabs, where they mean the same."""

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
from tests.schedules.crontabs import UTC_ZONE, all_fields, crontab, texts

YEAR_2000 = datetime(2000, 1, 1, tzinfo=UTC)
moments = st.timedeltas(timedelta(days=-9000), timedelta(days=33000)).map(YEAR_2000.__add__)


def possible(fields: CrontabFields, zone: ZoneInfo) -> Crontab:
    try:
        return Crontab(**fields._asdict(), timezone=zone)
    except InvalidSchedule:
        assume(False)
        raise


def plain(schedule: Crontab) -> tuple[str, ...]:
    """The fields in a spelling all programs share: stars, or else lists of numbers."""
    values = parse_fields(schedule.fields)
    numbers = (
        *(values.minutes, values.hours),
        *(values.days_of_month, values.months, values.weekdays),
    )
    return tuple(
        text if text[0] == "*" and "," not in text else ",".join(map(str, field))
        for text, field in zip(schedule.fields, numbers, strict=True)
    )


@given(fields=all_fields, after=moments)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_croniter_finds_the_same_slots(fields, after):
    schedule = possible(fields, UTC_ZONE)
    slots = upcoming(schedule, after=after, count=3)
    # It means day of month OR day of week unless told, and gives up after so many years.
    oracle = croniter(
        " ".join(plain(schedule)),
        after,
        ret_type=datetime,
        day_or=False,
        max_years_between_matches=50,
    )

    assert slots == list(islice(oracle.all_next(), 3))


@given(fields=all_fields, after=moments)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_cronsim_finds_the_same_slots(fields, after):
    schedule = possible(fields, UTC_ZONE)
    spelling = plain(schedule)
    # It means day of month OR day of week unless one of them begins with a star.
    assume("*" in spelling[2] + spelling[4])

    slots = upcoming(schedule, after=after, count=3)

    assert slots == list(islice(CronSim(" ".join(spelling), after), 3))


@pytest.mark.parametrize(
    "zone",
    ["Africa/Cairo", "America/Havana", "America/New_York", "Europe/Berlin", "Europe/Dublin"],
)
@given(
    minute=texts(0, 59), hour=texts(0, 23), day=st.integers(0, 364), seconds=st.integers(0, 86399)
)
@settings(derandomize=True, max_examples=60, deadline=None)
def test_cronsim_has_the_same_rule_where_clocks_change(zone, minute, hour, day, seconds):
    schedule = possible(CrontabFields(minute, hour), ZoneInfo(zone))
    spelling = plain(schedule)
    # A minute that begins with a star is elapsed time to it, whatever the hour.
    assume("*" in spelling[1] or "*" not in spelling[0])
    after = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day, seconds=seconds)

    slots = upcoming(schedule, after=after, count=50)

    oracle = CronSim(" ".join(spelling), after.astimezone(schedule.timezone))
    assert slots == [slot.astimezone(UTC) for slot in islice(oracle, 50)]


@given(fields=all_fields, after=moments)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_celery_finds_the_same_slot(fields, after):
    schedule = possible(fields, UTC_ZONE)
    after = after.replace(second=0, microsecond=0)
    oracle = celery.schedules.crontab(**fields._asdict(), nowfun=lambda: after)
    try:
        remaining = oracle.remaining_estimate(after)
    except RuntimeError:  # it gives up on rare days
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
def test_both_the_day_of_month_and_the_day_of_week_must_match(expression, after, slots):
    found = upcoming(
        crontab(expression),
        after=datetime.fromisoformat(after).replace(tzinfo=UTC),
        count=len(slots),
    )

    assert [f"{slot:%Y-%m-%d}" for slot in found] == slots


@pytest.mark.parametrize("hour", ["*", "0-23"])
@pytest.mark.parametrize("zone", ["UTC", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_the_rarest_day_is_found_across_all_its_clock_changes(zone, hour):
    schedule = crontab(f"* {hour} 29 2 1", zone)

    slot = next_slot(schedule, datetime(2072, 3, 1, 12, tzinfo=UTC))

    assert slot == datetime(2112, 2, 29, tzinfo=schedule.timezone).astimezone(UTC)
