"""GET /api/v1/periodic-tasks/{id}/."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from tests.api.periodic_tasks.examples import DEFAULT_POLICIES, TASKS, address, stored

pytestmark = pytest.mark.both_databases

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)


def test_retrieve_of_an_unmanaged_task_shows_all_fields(api, time_machine):
    time_machine.move_to(NOON, tick=False)
    schedule, _ = IntervalSchedule.objects.get_or_create(every=10, period=IntervalSchedule.SECONDS)
    task = PeriodicTask.objects.create(
        interval=schedule,
        name="Importing contacts",
        task="project.tasks.import_contacts",
        args=json.dumps(["arg1", "arg2"]),
        kwargs=json.dumps({"be_careful": True}),
        expires=NOON + timedelta(seconds=30),
    )

    response = api.get(address(task))

    assert response.status_code == 200
    assert response.json() == {
        "id": task.pk,
        "name": "Importing contacts",
        "task": "project.tasks.import_contacts",
        "schedule": {
            "id": schedule.pk,
            "type": "interval",
            "every": 10,
            "period": "seconds",
            "description": "Every 10 seconds",
        },
        "interval": schedule.pk,
        "crontab": None,
        "solar": None,
        "clocked": None,
        "args": ["arg1", "arg2"],
        "kwargs": {"be_careful": True},
        "queue": None,
        "exchange": None,
        "routing_key": None,
        "headers": {},
        "priority": None,
        "start_time": None,
        "expires": "2027-06-01T12:00:30Z",
        "expire_seconds": None,
        "one_off": False,
        **DEFAULT_POLICIES,
        "enabled": True,
        "paused": False,
        "paused_until": None,
        "pause_note": "",
        "description": "",
        "labels": {},
        "owner": None,
        "managed_by": "admin",
        "revision": 1,
        "next_run_at": "2027-06-01T12:00:10Z",
        "last_run": None,
        "last_run_at": None,
        "total_run_count": 0,
        "missed_count": 0,
        "last_error": "",
        "warnings": [],
        "date_changed": "2027-06-01T12:00:00Z",
    }


@pytest.mark.parametrize(
    ("kind", "row", "shown"),
    [
        (
            "interval",
            IntervalSchedule(every=1, period="days"),
            {"type": "interval", "every": 1, "period": "days"},
        ),
        (
            "crontab",
            CrontabSchedule(minute="30", hour="2", day_of_week="mon", timezone="Europe/Berlin"),
            {
                "type": "crontab",
                "minute": "30",
                "hour": "2",
                "day_of_month": "*",
                "month_of_year": "*",
                "day_of_week": "mon",
                "timezone": "Europe/Berlin",
            },
        ),
        (
            "solar",
            SolarSchedule(event="sunset", latitude="52.520000", longitude="-13.405000"),
            {
                "type": "solar",
                "event": "sunset",
                "latitude": 52.52,
                "longitude": -13.405,
            },
        ),
        (
            "clocked",
            ClockedSchedule(clocked_time=datetime(2100, 1, 1, tzinfo=UTC)),
            {
                "type": "clocked",
                "clocked_time": "2100-01-01T00:00:00Z",
            },
        ),
    ],
)
def test_retrieve_shows_each_type_of_schedule(api, kind, row, shown):
    row = type(row)(**{field.name: getattr(row, field.name) for field in row._meta.fields})
    row.save()
    task = stored(**{kind: row, "one_off": kind == "clocked"})

    read = api.get(address(task)).json()

    assert read["schedule"].pop("description")
    assert read["schedule"] == {"id": row.pk, **shown}
    assert {name: read[name] for name in ("interval", "crontab", "solar", "clocked")} == {
        **dict.fromkeys(("interval", "crontab", "solar", "clocked")),
        kind: row.pk,
    }


def test_retrieve_without_trailing_slash(api):
    task = stored()

    assert api.get(address(task).rstrip("/")).json() == api.get(address(task)).json()


@pytest.mark.parametrize(
    "number", ["1", "0", "99999999999999999999", "9" * 3000, "x", "-1", "1.0"]
)
def test_retrieve_of_a_missing_task_is_not_found(api, number):
    response = api.get(f"{TASKS}{number}/")

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


def test_retrieve_with_an_unknown_parameter_is_refused(api):
    response = api.get(address(stored()), {"expand": "schedule"})

    assert response.status_code == 400
    assert response.json()["errors"][0]["parameter"] == "expand"
