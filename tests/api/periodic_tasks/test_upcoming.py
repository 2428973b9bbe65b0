"""GET /api/v1/periodic-tasks/{id}/upcoming/."""

from datetime import UTC, datetime, timedelta

import pytest
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule

from tests.api.periodic_tasks.examples import TASKS, address, mistakes, stored, update_row

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _at_noon(time_machine):
    time_machine.move_to(NOON, tick=False)


def hourly() -> IntervalSchedule:
    return IntervalSchedule.objects.create(every=1, period="hours")


def times(response) -> list[str]:
    """Return the times of the slots on 1 June 2027."""
    assert response.status_code == 200, response.json()
    return [
        slot.removeprefix("2027-06-01T").removesuffix("Z") for slot in response.json()["upcoming"]
    ]


@pytest.mark.parametrize(
    ("columns", "slots"),
    [
        ({}, ["13:00:00", "14:00:00", "15:00:00"]),
        ({"date_changed": NOON - 10 * MINUTE}, ["12:50:00", "13:50:00", "14:50:00"]),
        ({"date_changed": NOON - 130 * MINUTE}, ["12:50:00", "13:50:00", "14:50:00"]),
        ({"last_run_at": NOON - 10 * MINUTE}, ["12:50:00", "13:50:00", "14:50:00"]),
        (
            {"last_run_at": NOON - 10 * MINUTE, "date_changed": NOON - 5 * MINUTE},
            ["12:50:00", "13:50:00", "14:50:00"],
        ),
        ({"start_time": NOON + 10 * MINUTE}, ["12:10:00", "13:10:00", "14:10:00"]),
        ({"start_time": NOON - 10 * MINUTE}, ["12:50:00", "13:50:00", "14:50:00"]),
        (
            {"start_time": NOON + 90 * MINUTE, "last_run_at": NOON - 10 * MINUTE},
            ["13:50:00", "14:50:00", "15:50:00"],
        ),
        ({"expires": NOON + 121 * MINUTE}, ["13:00:00", "14:00:00"]),
        ({"expires": NOON + 120 * MINUTE}, ["13:00:00"]),
        ({"expires": NOON - MINUTE}, []),
        ({"one_off": True}, ["13:00:00"]),
        ({"one_off": True, "total_run_count": 1}, []),
        ({"total_run_count": 1}, ["13:00:00", "14:00:00", "15:00:00"]),
        ({"enabled": False}, []),
    ],
)
def test_upcoming_of_an_interval(api, columns, slots):
    task = stored(interval=hourly())
    update_row(task, **columns)

    assert times(api.get(f"{address(task)}upcoming/", {"count": 3})) == slots


@pytest.mark.parametrize(
    ("columns", "slots"),
    [
        ({}, ["12:30:00", "13:30:00"]),
        ({"last_run_at": NOON - 10 * MINUTE}, ["12:30:00", "13:30:00"]),
        ({"start_time": NOON + 30 * MINUTE}, ["12:30:00", "13:30:00"]),
        ({"start_time": NOON + 31 * MINUTE}, ["13:30:00", "14:30:00"]),
        ({"expires": NOON + 90 * MINUTE}, ["12:30:00"]),
        ({"one_off": True}, ["12:30:00"]),
        ({"enabled": False}, []),
    ],
)
def test_upcoming_of_a_crontab(api, columns, slots):
    task = stored(crontab=CrontabSchedule.objects.create(minute="30", timezone="UTC"))
    update_row(task, **columns)

    assert times(api.get(f"{address(task)}upcoming/", {"count": 2})) == slots


@pytest.mark.parametrize(
    ("clocked_time", "columns", "slots"),
    [
        (NOON + MINUTE, {}, ["12:01:00"]),
        (NOON + MINUTE, {"total_run_count": 1}, []),
        (NOON + MINUTE, {"enabled": False}, []),
        (NOON + MINUTE, {"start_time": NOON + 2 * MINUTE}, []),
        (NOON - MINUTE, {}, []),
    ],
)
def test_upcoming_of_a_clocked_task(api, clocked_time, columns, slots):
    clocked = ClockedSchedule.objects.create(clocked_time=clocked_time)
    task = stored(clocked=clocked, one_off=True)
    update_row(task, **columns)

    assert times(api.get(f"{address(task)}upcoming/")) == slots


@pytest.mark.parametrize(
    ("query", "slots"),
    [
        ({"after": "2027-06-01T14:00:00Z", "count": 2}, ["15:00:00", "16:00:00"]),
        ({"after": "2027-06-01T15:59:59+02:00", "count": 1}, ["14:00:00"]),
        ({"after": "2027-06-01T05:00:00Z", "count": 1}, ["13:00:00"]),
        ({"count": 1}, ["13:00:00"]),
    ],
)
def test_upcoming_with_count_and_after(api, query, slots):
    task = stored(interval=hourly())

    assert times(api.get(f"{address(task)}upcoming/", query)) == slots


def test_upcoming_has_10_slots_by_default_and_at_most_500(api):
    task = stored(interval=hourly())

    assert len(times(api.get(f"{address(task)}upcoming/"))) == 10
    assert len(times(api.get(f"{address(task)}upcoming/", {"count": 500}))) == 500


@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        ({"count": "0"}, ("count", "min_value")),
        ({"count": "501"}, ("count", "max_value")),
        ({"count": "many"}, ("count", "invalid")),
        ({"after": "2027-06-01T12:00:00"}, ("after", "invalid")),
        ({"after": "now"}, ("after", "invalid")),
        ({"until": "2027-06-01T12:00:00Z"}, ("until", "unknown_parameter")),
    ],
)
def test_upcoming_with_an_invalid_query_is_refused(api, query, mistake):
    response = api.get(f"{address(stored())}upcoming/", query)

    assert response.status_code == 400
    assert mistakes(response) == [mistake]


@pytest.mark.parametrize("after", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_upcoming_at_the_limits_of_time(api, after):
    task = stored(interval=hourly())

    assert api.get(f"{address(task)}upcoming/", {"after": after}).status_code == 200


def test_upcoming_describes_the_schedule(api):
    task = stored(crontab=CrontabSchedule.objects.create(minute="30", timezone="UTC"))

    answer = api.get(f"{address(task)}upcoming/").json()

    assert answer["description"].startswith("At minute 30 of every hour")
    assert answer["clock_changes"].startswith("Follows elapsed time")


def test_upcoming_of_a_missing_task_is_not_found(api):
    assert api.get(f"{TASKS}1/upcoming/").status_code == 404
