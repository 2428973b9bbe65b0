from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_api.schedules.kinds import Clocked, Interval, Solar
from scheduler_api.schedules.slots import next_slot, upcoming
from tests.schedules.crontabs import crontab

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MICROSECOND = timedelta.resolution
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)

EVERY_KIND = [
    Interval(every=timedelta(minutes=7), anchor=NOON),
    crontab("*/7 * * * *", "Asia/Kathmandu"),
    crontab("*/7 0-23 * * *", "Asia/Kathmandu"),
    Solar(event="sunset", latitude=52.52, longitude=13.405),
    Clocked(at=NOON + timedelta(minutes=1)),
]


@pytest.mark.parametrize("schedule", EVERY_KIND)
def test_next_slot_is_strictly_later_and_in_utc(schedule):
    slot = next_slot(schedule, NOON)

    assert slot.tzinfo is UTC
    assert slot > NOON
    assert next_slot(schedule, slot - MICROSECOND) == slot
    assert next_slot(schedule, slot) != slot


@pytest.mark.parametrize("schedule", EVERY_KIND)
def test_next_slot_is_the_same_for_after_in_any_zone(schedule):
    elsewhere = NOON.astimezone(ZoneInfo("America/St_Johns"))

    assert next_slot(schedule, elsewhere) == next_slot(schedule, NOON)


@pytest.mark.parametrize("schedule", EVERY_KIND)
def test_naive_datetime_is_refused(schedule):
    naive = NOON.replace(tzinfo=None)

    with pytest.raises(ValueError, match="after must be an aware datetime"):
        next_slot(schedule, naive)
    with pytest.raises(ValueError, match="until must be an aware datetime"):
        upcoming(schedule, after=NOON, until=naive, count=1)


@pytest.mark.parametrize("schedule", EVERY_KIND)
def test_next_slot_past_the_year_9999_is_none(schedule):
    assert next_slot(schedule, LAST) is None
    assert next_slot(schedule, LAST.replace(tzinfo=timezone(timedelta(hours=-1)))) is None


@pytest.mark.parametrize("schedule", EVERY_KIND)
def test_next_slot_after_the_earliest_datetime_exists(schedule):
    assert next_slot(schedule, FIRST) > FIRST


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("hour", ["*", "0-23"])
def test_crontab_slots_continue_to_the_last_representable_wall_time(zone, hour):
    slots = upcoming(
        crontab(f"* {hour} * * *", zone), after=LAST - timedelta(days=2), count=10_000
    )

    assert slots[-1] >= LAST - timedelta(days=1, minutes=1)


@pytest.mark.parametrize(
    ("every", "after", "slot"),
    [
        (timedelta(minutes=5), NOON, NOON + timedelta(minutes=5)),
        (timedelta(minutes=5), NOON + timedelta(seconds=1), NOON + timedelta(minutes=5)),
        (timedelta(minutes=5), NOON + timedelta(minutes=5), NOON + timedelta(minutes=10)),
        (timedelta(minutes=5), NOON - timedelta(days=1), NOON + timedelta(minutes=5)),
        (MICROSECOND, NOON, NOON + MICROSECOND),
        (timedelta(days=36500), NOON, NOON + timedelta(days=36500)),
        (timedelta(days=3650000), NOON, None),
        (timedelta.max, NOON, None),
    ],
)
def test_interval_slots_count_from_the_anchor(every, after, slot):
    assert next_slot(Interval(every=every, anchor=NOON), after) == slot


def test_interval_is_elapsed_time_for_an_anchor_in_any_zone():
    anchor = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin"))

    slot = next_slot(Interval(every=timedelta(days=1), anchor=anchor), anchor)

    assert slot == anchor.astimezone(UTC) + timedelta(days=1)


@given(
    every=st.timedeltas(MICROSECOND, timedelta(days=3653)),
    since_anchor=st.timedeltas(timedelta(days=-3653), timedelta(days=36530)),
)
@settings(max_examples=500)
def test_interval_slot_is_the_first_later_multiple(every, since_anchor):
    after = NOON + since_anchor

    slot = next_slot(Interval(every=every, anchor=NOON), after)

    assert (slot - NOON) % every == timedelta(0)
    assert slot > after
    assert slot - every <= max(after, NOON)


def test_interval_slots_do_not_drift():
    every = timedelta(seconds=1, microseconds=1)

    slots = upcoming(Interval(every=every, anchor=NOON), after=NOON, count=1000)

    assert slots == [NOON + k * every for k in range(1, 1001)]


@pytest.mark.parametrize(
    ("after", "slot"),
    [
        (NOON - MICROSECOND, NOON),
        (NOON, None),
        (NOON + MICROSECOND, None),
    ],
)
def test_clocked_schedule_has_one_slot(after, slot):
    at = NOON.astimezone(timezone(timedelta(hours=2)))

    assert next_slot(Clocked(at=at), after) == slot


@pytest.mark.parametrize(
    ("count", "until", "hours"),
    [
        (0, None, []),
        (2, None, [13, 14]),
        (9, NOON + timedelta(hours=2), [13, 14]),
        (9, NOON + timedelta(hours=2) - MICROSECOND, [13]),
        (9, NOON, []),
    ],
)
def test_upcoming_stops_at_count_or_until(count, until, hours):
    slots = upcoming(crontab("0 * * * *"), after=NOON, count=count, until=until)

    assert [slot.hour for slot in slots] == hours


def test_upcoming_stops_after_the_last_slot():
    assert upcoming(Clocked(at=NOON), after=NOON - MICROSECOND, count=9) == [NOON]


@pytest.mark.parametrize("schedule", EVERY_KIND)
def test_upcoming_slots_increase(schedule):
    slots = upcoming(schedule, after=NOON, count=400)

    assert all(earlier < later for earlier, later in pairwise(slots))
