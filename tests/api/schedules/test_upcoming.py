"""GET {id}/upcoming/: when a stored schedule is due."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
import time_machine

from scheduler_api.schedules.preview import ELAPSED_TIME, WALL_TIME
from tests.api.http.answers import mistakes, refusal
from tests.api.schedules.bodies import CLOCKEDS, CRONTABS, INTERVALS, KINDS, SOLAR, SOLARS

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)


def upcoming(api, path, body, **query):
    """Store a schedule and ask when it is due."""
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
def test_the_next_slots_come_after_the_moment_asked_about(api, path, body, after, slots):
    assert upcoming(api, path, body, after=after, count=3) == slots


@pytest.mark.parametrize(
    ("expression", "zone", "after", "slots"),
    [
        # 02:30 does not exist on 28 March: once, at the end of the gap.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2027-03-27T00:00:00Z",
            ["2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"],
        ),
        # 02:30 comes twice on 31 October: once, the first time.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2027-10-30T12:00:00Z",
            ["2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z", "2027-11-02T01:30:00Z"],
        ),
        # An hour field of * follows elapsed time: 02:30 comes twice.
        (
            "30 * * * *",
            "Europe/Berlin",
            "2027-10-31T00:00:00Z",
            ["2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z", "2027-10-31T02:30:00Z"],
        ),
        # The wall time stays, the instant moves by an hour.
        (
            "0 9 * * *",
            "Europe/Berlin",
            "2027-03-27T00:00:00Z",
            ["2027-03-27T08:00:00Z", "2027-03-28T07:00:00Z", "2027-03-29T07:00:00Z"],
        ),
    ],
)
def test_slots_where_the_clock_changes(api, expression, zone, after, slots):
    body = {"expression": expression, "timezone": zone}

    assert upcoming(api, CRONTABS, body, after=after, count=3) == slots


def test_the_sun_sets_once_a_day(api):
    slots = upcoming(api, SOLARS, SOLAR, after="2027-06-20T00:00:00Z", count=3)

    moments = [datetime.fromisoformat(slot) for slot in slots]
    assert [moment.date().isoformat() for moment in moments] == [
        "2027-06-20",
        "2027-06-21",
        "2027-06-22",
    ]
    # As almanacs have it for Berlin: at 21:33, summer time.
    assert {(moment.hour, moment.minute) for moment in moments} <= {(19, 32), (19, 33)}


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        (INTERVALS, {"every": 1, "period": "days"}, ELAPSED_TIME),
        (CRONTABS, {"expression": "0 * * * *"}, ELAPSED_TIME),
        (CRONTABS, {"expression": "0 */2 * * *"}, ELAPSED_TIME),
        (CRONTABS, {"expression": "0 0-23 * * *"}, WALL_TIME),
        (CRONTABS, {"expression": "30 2 * * *"}, WALL_TIME),
        (SOLARS, SOLAR, ELAPSED_TIME),
        (CLOCKEDS, {"clocked_time": "2099-01-01T00:00:00Z"}, ELAPSED_TIME),
    ],
)
def test_the_rule_where_the_clock_changes_is_told(api, path, body, sentence):
    created = api.post(path, body).json()

    response = api.get(f"{path}{created['id']}/upcoming/")

    assert response.json()["clock_changes"] == sentence


@time_machine.travel(NOON, tick=False)
def test_by_default_there_are_ten_slots_from_now_on(api):
    slots = upcoming(api, INTERVALS, {"every": 5, "period": "minutes"})

    expected = [NOON + number * timedelta(minutes=5) for number in range(1, 11)]
    assert [datetime.fromisoformat(slot) for slot in slots] == expected


@pytest.mark.parametrize("count", [1, 2, 499, 500])
def test_as_many_slots_come_as_are_asked_for(api, count):
    slots = upcoming(api, CRONTABS, {}, count=count)

    assert len(slots) == count
    assert slots == sorted(set(slots))


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_no_slots_past_the_end_of_time(api, kind):
    path, body, _ = KINDS[kind]

    assert upcoming(api, path, body, after="9999-12-31T23:59:59.999999Z") == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_beginning_of_time_is_a_moment_like_any_other(api, kind):
    path, body, _ = KINDS[kind]

    slots = upcoming(api, path, body, after="0001-01-01T00:00:00Z", count=1)

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
def test_a_question_that_is_not_understood_is_refused(api, kind, query, mistake):
    path, body, _ = KINDS[kind]
    created = api.post(path, body).json()

    response = api.get(f"{path}{created['id']}/upcoming/?{query}")

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [mistake]


def test_a_plus_in_a_url_is_a_blank_and_the_refusal_says_so(api):
    created = api.post(CRONTABS, {}).json()
    address = f"{CRONTABS}{created['id']}/upcoming/"

    response = api.get(f"{address}?after=2027-01-01T00:00:00+01:00")

    assert "write + as %2B" in response.json()["detail"]
    assert api.get(f"{address}?after=2027-01-01T00:00:00%2B01:00").status_code == 200
