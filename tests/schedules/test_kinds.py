from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import inf, nan

import celery.schedules
import pytest

from scheduler_api.schedules.kinds import (
    MAX_INTERVAL,
    SOLAR_EVENTS,
    Clocked,
    Crontab,
    Interval,
    InvalidSchedule,
    Solar,
)
from tests.schedules.crontabs import UTC_ZONE

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAIVE = NOW.replace(tzinfo=None)
HERE = {"latitude": 0.0, "longitude": 0.0}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Interval(every=timedelta.resolution, anchor=NOW),
        lambda: Interval(every=timedelta.max, anchor=NOW),
        lambda: Crontab(timezone=UTC_ZONE),
        lambda: Solar(event="sunset", latitude=90, longitude=-180.0),
        lambda: Solar(event="sunset", latitude=Decimal("-90.000000"), longitude=Decimal(180)),
        lambda: Clocked(at=datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_valid_schedule_is_constructed_and_hashable(make):
    assert hash(make()) == hash(make())


@pytest.mark.parametrize(
    ("make", "field", "code"),
    [
        (lambda: Interval(every=timedelta(0), anchor=NOW), "every", "out_of_range"),
        (lambda: Interval(every=-timedelta.resolution, anchor=NOW), "every", "out_of_range"),
        (lambda: Interval(every=timedelta(1), anchor=NAIVE), "anchor", "naive"),
        (lambda: Clocked(at=NAIVE), "at", "naive"),
        (lambda: Crontab(minute="60", timezone=UTC_ZONE), "minute", "out_of_range"),
        (
            lambda: Crontab(day_of_month="31", month_of_year="2", timezone=UTC_ZONE),
            "day_of_month",
            "never_fires",
        ),
        (lambda: Solar(event="moonrise", **HERE), "event", "unknown_event"),
        (lambda: Solar(event="sunset", latitude=90.1, longitude=0), "latitude", "out_of_range"),
        (lambda: Solar(event="sunset", latitude=nan, longitude=0), "latitude", "out_of_range"),
        (
            lambda: Solar(event="sunset", latitude=Decimal("NaN"), longitude=0),
            "latitude",
            "out_of_range",
        ),
        (lambda: Solar(event="sunset", latitude=0, longitude=inf), "longitude", "out_of_range"),
        (
            lambda: Solar(event="sunset", latitude=0, longitude=Decimal("-180.000001")),
            "longitude",
            "out_of_range",
        ),
    ],
)
def test_invalid_schedule_is_refused_with_its_field_and_code(make, field, code):
    with pytest.raises(InvalidSchedule, match=field) as refusal:
        make()

    assert (refusal.value.field, refusal.value.code) == (field, code)


def test_max_interval_is_the_longest_ten_years():
    longest = max(
        datetime(year + 10, 3, 1) - datetime(year, 3, 1)  # noqa: DTZ001
        for year in range(1990, 2200)
    )

    assert longest == MAX_INTERVAL


def test_solar_events_equal_those_of_celery():
    assert set(SOLAR_EVENTS) == celery.schedules.solar._all_events
