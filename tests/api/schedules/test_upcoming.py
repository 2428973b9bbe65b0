"""GET {id}/upcoming/: the next slots of a stored schedule."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
import time_machine

from scheduler_api.schedules.preview import ELAPSED_TIME, INSTANT, INTERVAL, SUN, WALL_TIME
from tests.api.http.responses import mistakes, refusal
from tests.api.schedules.bodies import CLOCKEDS, CRONTABS, INTERVALS, KINDS, SOLAR, SOLARS

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)


def upcoming_of_new(api, path, body, **query):
    """Store a schedule and return its next slots."""
    created = api.post(path, body).json()
    response = api.get(f"{path}{created['id']}/upcoming/?{urlencode(query)}")
    assert response.status_code == 200, response.json()
    assert response.json()["description"] == created["description"]
    return response.json()["upcoming"]


@pytest.mark.parametrize(
    ("path", "body", "after", "slots"),
    [
        (
            INTERVALS,
            {"every": 90, "period": "minutes"},
            "2027-01-01T00:00:00Z",
            ["2027-01-01T01:30:00Z", "2027-01-01T03:00:00Z", "2027-01-01T04:30:00Z"],
        ),
        (
            INTERVALS,
            {"every": 1_500_000, "period": "microseconds"},
            "2027-01-01T01:00:00.25+01:00",
            [
                "2027-01-01T00:00:01.750000Z",
                "2027-01-01T00:00:03.250000Z",
                "2027-01-01T00:00:04.750000Z",
            ],
        ),
        (
            CRONTABS,
            {"expression": "*/20 * * * *"},
            "2027-01-01T00:20:00Z",
            ["2027-01-01T00:40:00Z", "2027-01-01T01:00:00Z", "2027-01-01T01:20:00Z"],
        ),
        (
            CRONTABS,
            {"expression": "0 9 13 * fri", "timezone": "America/New_York"},
            "2026-01-01T00:00:00Z",
            ["2026-02-13T14:00:00Z", "2026-03-13T13:00:00Z", "2026-11-13T14:00:00Z"],
        ),
        (
            CRONTABS,
            {"expression": "0 0 29 2 *"},
            "2027-01-01T00:00:00Z",
            ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z", "2036-02-29T00:00:00Z"],
        ),
        (CLOCKEDS, {"clocked_time": "2099-01-01T00:00:00Z"}, "2098-01-01T00:00:00Z",
         ["2099-01-01T00:00:00Z"]),
        (CLOCKEDS, {"clocked_time": "2099-01-01T00:00:00Z"}, "2099-01-01T00:00:00Z", []),
    ],
)  # fmt: skip
def test_upcoming_slots_are_later_than_after(api, path, body, after, slots):
    assert upcoming_of_new(api, path, body, after=after, count=3) == slots


@pytest.mark.parametrize(
    ("expression", "zone", "after", "slots"),
    [
        # 02:30 does not exist on 28 March: one slot, at the end of the gap.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2027-03-27T00:00:00Z",
            ["2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"],
        ),
        # 02:30 occurs twice on 31 October: one slot, at the first occurrence.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2027-10-30T12:00:00Z",
            ["2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z", "2027-11-02T01:30:00Z"],
        ),
        # An hour field of * follows elapsed time: 02:30 has two slots.
        (
            "30 * * * *",
            "Europe/Berlin",
            "2027-10-31T00:00:00Z",
            ["2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z", "2027-10-31T02:30:00Z"],
        ),
        # The wall time stays; the instant moves by an hour.
        (
            "0 9 * * *",
            "Europe/Berlin",
            "2027-03-27T00:00:00Z",
            ["2027-03-27T08:00:00Z", "2027-03-28T07:00:00Z", "2027-03-29T07:00:00Z"],
        ),
    ],
)
def test_upcoming_slots_at_a_clock_change(api, expression, zone, after, slots):
    body = {"expression": expression, "timezone": zone}

    assert upcoming_of_new(api, CRONTABS, body, after=after, count=3) == slots


def test_upcoming_slots_of_sunset_are_once_a_day(api):
    slots = upcoming_of_new(api, SOLARS, SOLAR, after="2027-06-20T00:00:00Z", count=3)

    moments = [datetime.fromisoformat(slot) for slot in slots]
    assert [moment.date().isoformat() for moment in moments] == [
        "2027-06-20",
        "2027-06-21",
        "2027-06-22",
    ]
    # Almanacs give 21:33 summer time for Berlin.
    assert {(moment.hour, moment.minute) for moment in moments} <= {(19, 32), (19, 33)}


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        (INTERVALS, {"every": 1, "period": "days"}, INTERVAL),
        (CRONTABS, {"expression": "0 * * * *"}, ELAPSED_TIME),
        (CRONTABS, {"expression": "0 */2 * * *"}, ELAPSED_TIME),
        (CRONTABS, {"expression": "0 0-23 * * *"}, ELAPSED_TIME),
        (CRONTABS, {"expression": "0 */24 * * *"}, WALL_TIME),
        (CRONTABS, {"expression": "0 0-22 * * *"}, WALL_TIME),
        (CRONTABS, {"expression": "30 2 * * *"}, WALL_TIME),
        (SOLARS, SOLAR, SUN),
        (CLOCKEDS, {"clocked_time": "2099-01-01T00:00:00Z"}, INSTANT),
    ],
)
def test_upcoming_describes_the_rule_for_clock_changes(api, path, body, sentence):
    created = api.post(path, body).json()

    response = api.get(f"{path}{created['id']}/upcoming/")

    assert response.json()["clock_changes"] == sentence


@time_machine.travel(NOON, tick=False)
def test_upcoming_defaults_to_ten_slots_after_now(api):
    slots = upcoming_of_new(api, INTERVALS, {"every": 5, "period": "minutes"})

    expected = [NOON + number * timedelta(minutes=5) for number in range(1, 11)]
    assert [datetime.fromisoformat(slot) for slot in slots] == expected


@pytest.mark.parametrize("count", [1, 2, 499, 500])
def test_upcoming_returns_the_requested_number_of_slots(api, count):
    slots = upcoming_of_new(api, CRONTABS, {}, count=count)

    assert len(slots) == count
    assert slots == sorted(set(slots))


@pytest.mark.parametrize("kind", KINDS)
def test_upcoming_after_the_latest_datetime_is_empty(api, kind):
    path, body, _ = KINDS[kind]

    assert upcoming_of_new(api, path, body, after="9999-12-31T23:59:59.999999Z") == []


@pytest.mark.parametrize("kind", KINDS)
def test_upcoming_after_the_earliest_datetime(api, kind):
    path, body, _ = KINDS[kind]

    slots = upcoming_of_new(api, path, body, after="0001-01-01T00:00:00Z", count=1)

    assert len(slots) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        ("count=0", ("count", "min_value")),
        ("count=501", ("count", "max_value")),
        ("count=-1", ("count", "invalid")),
        ("count=", ("count", "invalid")),
        ("count=ten", ("count", "invalid")),
        ("count=1.0", ("count", "invalid")),
        ("count=1_0", ("count", "invalid")),
        ("count=%205", ("count", "invalid")),
        ("count=%D9%A5", ("count", "invalid")),
        (f"count={'9' * 5000}", ("count", "max_string_length")),
        ("after=", ("after", "invalid")),
        ("after=now", ("after", "invalid")),
        ("after=1800000000", ("after", "invalid")),
        ("after=2027-01-01", ("after", "invalid")),
        ("after=2027-01-01T00:00:00", ("after", "invalid")),
        ("after=2027-02-29T00:00:00Z", ("after", "invalid")),
        ("after=2027-01-01T00:00:00+01:00", ("after", "invalid")),
        ("after=9999-12-31T23:59:59-01:00", ("after", "overflow")),
        ("counts=5", ("counts", "unknown_parameter")),
        ("page_size=5", ("page_size", "unknown_parameter")),
        ("count=5&count=6", ("count", "duplicate_parameter")),
    ],
)
def test_upcoming_with_an_invalid_query_is_refused(api, kind, query, mistake):
    path, body, _ = KINDS[kind]
    created = api.post(path, body).json()

    response = api.get(f"{path}{created['id']}/upcoming/?{query}")

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [mistake]


def test_upcoming_with_an_unescaped_plus_is_refused_with_the_correction(api):
    created = api.post(CRONTABS, {}).json()
    address = f"{CRONTABS}{created['id']}/upcoming/"

    response = api.get(f"{address}?after=2027-01-01T00:00:00+01:00")

    assert "write + as %2B" in response.json()["detail"]
    assert api.get(f"{address}?after=2027-01-01T00:00:00%2B01:00").status_code == 200
