from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings

from scheduler_api.schedules.crontab_fields import parse_fields
from scheduler_api.schedules.description import describe
from scheduler_api.schedules.kinds import Clocked, Crontab, Interval, InvalidSchedule, Solar
from tests.schedules.crontabs import UTC_ZONE, all_fields, crontab

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "sentence"),
    [
        (timedelta(days=1), "Every day"),
        (timedelta(days=14), "Every 14 days"),
        (timedelta(hours=1), "Every hour"),
        (timedelta(hours=36), "Every 36 hours"),
        (timedelta(minutes=5), "Every 5 minutes"),
        (timedelta(minutes=90), "Every 90 minutes"),
        (timedelta(seconds=1), "Every second"),
        (timedelta(seconds=1.5), "Every 1500000 microseconds"),
    ],
)
def test_interval_is_described_in_its_largest_unit(every, sentence):
    assert describe(Interval(every=every, anchor=NEW_YEAR)) == sentence


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("* * * * *", "Every minute"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("0,30 * * * *", "Every 30 minutes"),
        ("0 * * * *", "Every hour"),
        ("0 */6 * * *", "Every 6 hours"),
        ("0 */2 * * 1", "Every 2 hours, Monday"),
        # not every 5 hours: the last time of a day is 4 hours before the next
        ("0 */5 * * *", "At 00:00, 05:00, 10:00, 15:00 and 20:00, every day"),
        ("*/25 * * * *", "At minutes 0, 25 and 50 of every hour, every day"),
        ("30 * * * *", "At minute 30 of every hour, every day"),
        ("30 7 * * *", "At 07:30, every day"),
        ("30 7,19 * * *", "At 07:30 and 19:30, every day"),
        ("30 7 * * 1-5", "At 07:30, Monday through Friday"),
        ("30 7 * * mon-fri", "At 07:30, Monday through Friday"),
        ("30 7 * * 7", "At 07:30, Sunday"),
        ("30 7 * * 6-7", "At 07:30, Saturday and Sunday"),
        ("30 7 * * fri-mon", "At 07:30, Monday and Friday through Sunday"),
        ("0 9-17 * * *", "Every hour from 09:00 through 17:00"),
        ("*/15 9-17 * * *", "Every 15 minutes from 09:00 through 17:59"),
        ("5 9-17 * * *", "At minute 5 from 09:00 through 17:59, every day"),
        ("* 22-2 * * *", "Every minute of hours 0 through 2, 22 and 23"),
        ("0 0 1 * *", "At 00:00, on day 1 of the month"),
        ("0 0 1,15 * *", "At 00:00, on days 1 and 15 of the month"),
        ("0 0 29 2 *", "At 00:00, on day 29 of February"),
        ("0 0 1 */3 *", "At 00:00, on day 1 of January, April, July and October"),
        ("0 0 * 6-8 *", "At 00:00, in June through August"),
        ("0 0 * 6-8 0", "At 00:00, Sunday in June through August"),
        # day of month and day of week must both match
        ("0 9 13 * 5", "At 09:00, on day 13 of the month if that is Friday"),
        (
            "0 9 1-7 1 1,3",
            "At 09:00, on days 1 through 7 of January if that is Monday or Wednesday",
        ),
    ],
)
def test_crontab_is_described_by_its_values(expression, sentence):
    assert describe(crontab(expression, "Europe/Berlin")) == f"{sentence} (Europe/Berlin)"


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Etc/GMT-7", "Etc/GMT-7, UTC+07:00"),
        ("Etc/GMT+3", "Etc/GMT+3, UTC-03:00"),
        ("Etc/GMT", "Etc/GMT, UTC+00:00"),
        ("Etc/UTC", "Etc/UTC"),
        ("Asia/Bangkok", "Asia/Bangkok"),
    ],
)
def test_zone_of_a_fixed_offset_is_described_with_its_offset_from_utc(zone, shown):
    assert describe(crontab("30 7 * * *", zone)) == f"At 07:30, every day ({shown})"


@pytest.mark.parametrize(
    ("solar", "sentence"),
    [
        (
            Solar(event="sunset", latitude=Decimal("52.520000"), longitude=13.405),
            "At sunset at latitude 52.52, longitude 13.405",
        ),
        (
            Solar(event="dawn_civil", latitude=-90, longitude=-0.0),
            "At civil dawn at latitude -90, longitude 0",
        ),
    ],
)
def test_solar_schedule_is_described_with_its_location(solar, sentence):
    assert describe(solar) == sentence


@pytest.mark.parametrize(
    ("at", "sentence"),
    [
        (NEW_YEAR, "Once, at 2027-01-01 00:00:00 UTC"),
        (NEW_YEAR.replace(microsecond=1), "Once, at 2027-01-01 00:00:00.000001 UTC"),
        (NEW_YEAR.replace(tzinfo=ZoneInfo("Europe/Berlin")), "Once, at 2026-12-31 23:00:00 UTC"),
    ],
)
def test_clocked_schedule_is_described_in_utc(at, sentence):
    assert describe(Clocked(at=at)) == sentence


def test_crontabs_with_the_same_description_have_the_same_values():
    meanings = {}

    @given(all_fields)
    @settings(max_examples=2000, database=None)
    def check_description(fields):
        try:
            schedule = Crontab(**fields._asdict(), timezone=UTC_ZONE)
        except InvalidSchedule:
            assume(False)
        values = parse_fields(fields)
        meaning = (
            values.minutes,
            values.hours,
            values.days_of_month,
            values.months,
            values.weekdays,
        )
        assert meanings.setdefault(describe(schedule), meaning) == meaning

    check_description()

    assert len(meanings) > 500
