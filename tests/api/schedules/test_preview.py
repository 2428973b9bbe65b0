"""POST schedules/preview/: the next slots of a schedule that is not stored."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.api.http.responses import mistakes, refusal
from tests.api.schedules.bodies import KINDS, PREVIEW, no_schedules_are_stored
from tests.client import KEY_QUERIES

AFTER = "2027-03-27T00:00:00Z"
DAILY = {"type": "crontab", "expression": "30 2 * * *", "timezone": "Europe/Berlin"}


@pytest.mark.parametrize("kind", KINDS)
def test_preview_equals_the_upcoming_slots_of_a_stored_schedule(api, kind):
    path, body, _ = KINDS[kind]
    created = api.post(path, body).json()
    stored = api.get(f"{path}{created['id']}/upcoming/?after={AFTER}&count=20").json()

    preview = api.post(
        PREVIEW, {"schedule": {"type": kind, **body}, "after": AFTER, "count": 20}
    ).json()

    assert preview == stored
    assert preview["upcoming"]


@pytest.mark.parametrize("kind", KINDS)
def test_preview_stores_nothing_and_needs_no_queries(api, kind):
    _, body, _ = KINDS[kind]

    with CaptureQueriesContext(connection) as captured:
        response = api.post(PREVIEW, {"schedule": {"type": kind, **body}})

    assert response.status_code == 200
    assert len(captured) == KEY_QUERIES
    assert no_schedules_are_stored()


def test_preview_shows_the_change_to_summer_time(api):
    answer = api.post(PREVIEW, {"schedule": DAILY, "after": AFTER, "count": 3}).json()

    assert answer == {
        "upcoming": ["2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"],
        "description": "At 02:30, every day (Europe/Berlin)",
        "clock_changes": (
            "Follows the wall clock: if the clock skips a time, its slot is at the end of the "
            "gap; if the clock repeats a time, its slot is at the first occurrence."
        ),
    }


@time_machine.travel(datetime(2027, 1, 1, 12, tzinfo=UTC), tick=False)
def test_preview_defaults_to_ten_slots_after_now(api):
    sent = {"schedule": {"type": "interval", "every": 1, "period": "hours"}}

    slots = api.post(PREVIEW, sent).json()["upcoming"]

    expected = [datetime(2027, 1, 1, 13, tzinfo=UTC) + timedelta(hours=n) for n in range(10)]
    assert [datetime.fromisoformat(slot) for slot in slots] == expected


@pytest.mark.parametrize("count", [1, 500])
def test_preview_returns_the_requested_number_of_slots(api, count):
    slots = api.post(PREVIEW, {"schedule": DAILY, "count": count}).json()["upcoming"]

    assert len(slots) == count


@pytest.mark.parametrize(
    ("count", "code"),
    [
        (0, "min_value"),
        (-1, "min_value"),
        (501, "max_value"),
        (10**30, "max_value"),
        ("5", "invalid"),
        (5.5, "invalid"),
        (501.0, "max_value"),
        (True, "invalid"),
        (None, "null"),
    ],
)
def test_preview_with_an_invalid_count_is_refused(api, count, code):
    response = api.post(PREVIEW, {"schedule": DAILY, "count": count})

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [("/count", code)]


@pytest.mark.parametrize(
    ("after", "code"),
    [
        ("2027-01-01T00:00:00", "invalid"),
        ("2027-01-01", "invalid"),
        ("soon", "invalid"),
        (1800000000, "invalid"),
        (None, "null"),
        ("9999-12-31T23:59:59-01:00", "overflow"),
    ],
)
def test_preview_with_a_naive_or_malformed_after_is_refused(api, after, code):
    response = api.post(PREVIEW, {"schedule": DAILY, "after": after})

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [("/after", code)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({}, [("/schedule/type", "unknown_type")]),
        ({"type": "cron"}, [("/schedule/type", "unknown_type")]),
        ({"type": None}, [("/schedule/type", "unknown_type")]),
        ({"type": ["crontab"]}, [("/schedule/type", "unknown_type")]),
        ({"every": 5, "period": "days"}, [("/schedule/type", "unknown_type")]),
        (None, [("/schedule", "null")]),
        ("*/5 * * * *", [("/schedule", "invalid")]),
        ([], [("/schedule", "invalid")]),
        (7, [("/schedule", "invalid")]),
        ({"type": "interval", "every": 0, "period": "days"}, [("/schedule/every", "min_value")]),
        (
            {"type": "interval", "every": 2**31 - 1, "period": "days"},
            [("/schedule/every", "interval_out_of_range")],
        ),
        (
            {"type": "interval"},
            [("/schedule/every", "required"), ("/schedule/period", "required")],
        ),
        ({"type": "crontab", "minute": "60"}, [("/schedule/minute", "out_of_range")]),
        ({"type": "crontab", "expression": "x"},
         [("/schedule/expression", "wrong_number_of_fields")]),
        ({"type": "crontab", "timezone": "Mars/Base"}, [("/schedule/timezone", "unknown_zone")]),
        (
            {"type": "crontab", "day_of_month": "31", "month_of_year": "2"},
            [("/schedule/day_of_month", "never_fires")],
        ),
        ({"type": "crontab", "every": 5}, [("/schedule/every", "unknown_field")]),
        (
            {"type": "solar", "event": "sunset", "latitude": 91, "longitude": 0},
            [("/schedule/latitude", "max_value")],
        ),
        (
            {"type": "solar", "event": "sunset", "latitude": 90, "longitude": 0},
            [("/schedule/event", "never_due")],
        ),
        (
            {"type": "clocked", "clocked_time": "2020-01-01T00:00:00Z"},
            [("/schedule/clocked_time", "never_due")],
        ),
        (
            {"type": "clocked", "clocked_time": "2099-01-01T00:00:00"},
            [("/schedule/clocked_time", "invalid")],
        ),
    ],
)  # fmt: skip
def test_preview_of_an_invalid_schedule_is_refused_at_the_field(api, schedule, expected):
    response = api.post(PREVIEW, {"schedule": schedule})

    assert refusal(response) == (400, "validation_failed")
    assert sorted(mistakes(response)) == expected


def test_preview_without_a_schedule_is_refused(api):
    assert mistakes(api.post(PREVIEW, {"count": 5})) == [("/schedule", "required")]


def test_preview_with_an_unknown_field_is_refused_with_a_suggestion(api):
    response = api.post(PREVIEW, {"schedule": DAILY, "counts": 5})

    assert mistakes(response) == [("/counts", "unknown_field")]
    assert "did you mean 'count'?" in response.json()["detail"]


def test_preview_with_query_parameters_is_refused(api):
    response = api.post(f"{PREVIEW}?count=5", {"schedule": DAILY})

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [("count", "unknown_parameter")]
