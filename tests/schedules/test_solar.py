from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import celery.schedules
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_api.schedules.kinds import SOLAR_EVENTS, Solar
from scheduler_api.schedules.slots import next_slot, upcoming
from scheduler_api.schedules.solar import EVENTS

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
PRECISION = timedelta(seconds=0.1)


def test_solar_search_parameters_equal_those_of_celery():
    of_celery = celery.schedules.solar

    assert {
        event: (
            of_celery._methods[event],
            of_celery._horizons[event],
            of_celery._use_center_l[event],
        )
        for event in of_celery._all_events
    } == EVENTS


@given(
    event=st.sampled_from(SOLAR_EVENTS),
    latitude=st.decimals(-45, 45, places=6),
    longitude=st.decimals(-180, 180, places=6),
    since=st.timedeltas(timedelta(0), timedelta(days=3650)),
)
@settings(max_examples=300)
def test_next_solar_slot_equals_that_of_celery(event, latitude, longitude, since):
    after = NEW_YEAR + since
    oracle = celery.schedules.solar(event, latitude, longitude, nowfun=lambda: after)

    slot = next_slot(Solar(event=event, latitude=latitude, longitude=longitude), after)

    assert abs(slot - (after + oracle.remaining_estimate(after))) < 2 * PRECISION


@given(
    event=st.sampled_from(SOLAR_EVENTS),
    latitude=st.floats(45, 75) | st.floats(-75, -45),
    longitude=st.floats(-180, 180),
    since=st.timedeltas(timedelta(0), timedelta(days=3650)),
)
@settings(max_examples=100)
def test_no_solar_event_is_lost_near_days_without_one(event, latitude, longitude, since):
    solar = Solar(event=event, latitude=latitude, longitude=longitude)
    oracle = celery.schedules.solar(event, latitude, longitude, nowfun=lambda: NEW_YEAR)

    for earlier, later in pairwise(upcoming(solar, after=NEW_YEAR + since, count=60)):
        expected = NEW_YEAR + oracle.remaining_estimate(earlier + timedelta(hours=1))
        assert abs(later - expected) < timedelta(seconds=1)


@pytest.mark.parametrize("event", SOLAR_EVENTS)
@pytest.mark.parametrize("longitude", [-180, -74.006, 0, 13.405, 180])
@pytest.mark.parametrize("latitude", [-33.9, 0, Decimal("48.500000")])
def test_solar_event_occurs_once_a_day(event, latitude, longitude):
    solar = Solar(event=event, latitude=latitude, longitude=longitude)

    slots = upcoming(solar, after=NEW_YEAR, count=366)

    assert all(
        timedelta(hours=23.5) < later - earlier < timedelta(hours=24.5)
        for earlier, later in pairwise(slots)
    )


@given(
    event=st.sampled_from(SOLAR_EVENTS),
    latitude=st.floats(-90, 90),
    days=st.integers(0, 365),
    part=st.floats(0, 1),
)
@settings(max_examples=100)
def test_next_solar_slot_is_the_same_from_any_time_before_it(event, latitude, days, part):
    solar = Solar(event=event, latitude=latitude, longitude=25)
    slots = upcoming(solar, after=NEW_YEAR + timedelta(days=days), count=2)

    for earlier, later in pairwise(slots):
        assert next_slot(solar, earlier + (later - earlier) * part * 0.999999) == later


@pytest.mark.parametrize(
    ("event", "latitude", "after", "first_day"),
    [
        # Tromsø: no sunrise from the end of November to the middle of January, nor from the
        # middle of May to the end of July.
        ("sunrise", 69.65, "2025-11-30", "2026-01-15"),
        ("sunset", 69.65, "2026-05-19", "2026-07-25"),
        # Berlin: no astronomical dusk around midsummer.
        ("dusk_astronomical", 52.52, "2026-05-25", "2026-07-"),
    ],
)
def test_next_solar_slot_in_polar_regions_may_be_months_away(event, latitude, after, first_day):
    solar = Solar(event=event, latitude=latitude, longitude=18.96)

    slot = next_slot(solar, datetime.fromisoformat(after).replace(tzinfo=UTC))

    assert f"{slot:%Y-%m-%d}".startswith(first_day)


@pytest.mark.parametrize("event", ["sunrise", "sunset", "dawn_civil", "dusk_astronomical"])
@pytest.mark.parametrize("latitude", [-90, 90])
def test_next_solar_slot_at_a_pole_is_none(event, latitude):
    solar = Solar(event=event, latitude=latitude, longitude=0)

    assert next_slot(solar, NEW_YEAR) is None


@pytest.mark.parametrize("year", [500, 1500, 1582, 9998])
def test_each_day_has_a_sunset_in_any_year(year):
    tahiti = Solar(event="sunset", latitude=-17.5, longitude=-149.5)
    first = datetime(year, 1, 1, tzinfo=UTC)

    slots = upcoming(tahiti, after=first, count=365)

    assert [slot.date() for slot in slots] == [
        (first + timedelta(days=number)).date() for number in range(365)
    ]
