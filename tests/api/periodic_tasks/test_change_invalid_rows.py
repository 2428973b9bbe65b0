"""PATCH /api/v1/periodic-tasks/{id}/ of rows that others stored and that break a rule."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
)

from tests.api.periodic_tasks.examples import (
    NEW_YEAR_2100,
    NIGHTLY,
    address,
    mistakes,
    stored,
    stored_import,
    update_row,
)

NOW = timezone.now()
AN_HOUR_AGO = NOW - timedelta(hours=1)
YESTERDAY = NOW - timedelta(days=1)


@pytest.mark.parametrize(
    "columns",
    [
        {"task": "project.tasks.vanished"},
        {"task": "project.tasks.vanished", "args": "[5]"},
        {"args": "[5]"},
        {"args": "garbage"},
        {"headers": '{"task": "project.tasks.fail"}'},
        {"queue": "undeclared", "exchange": "amq.topic", "routing_key": "#"},
        {"expires": YESTERDAY},
        {"priority": 300},
    ],
)
def test_change_of_other_fields_of_an_invalid_row_is_accepted(api, columns):
    task = stored()
    update_row(task, **columns)

    response = api.patch(address(task), {"description": "New", "name": "Renamed"})

    task.refresh_from_db()
    assert response.status_code == 200
    assert (task.description, task.name) == ("New", "Renamed")


@pytest.mark.parametrize(
    ("columns", "fields", "mistake"),
    [
        (
            {"task": "project.tasks.vanished"},
            {"args": ["arg1"]},
            ("/task", "unregistered_task"),
        ),
        ({"args": "garbage"}, {"kwargs": {}}, ("/args", "unreadable")),
        ({"kwargs": "[]"}, {"args": ["a", "b"]}, ("/kwargs", "unreadable")),
        ({"expires": YESTERDAY, "enabled": False}, {"enabled": True}, ("/expires", "never_due")),
        ({"queue": "undeclared"}, {"exchange": "amq.topic"}, ("/exchange", "not_allowed")),
    ],
)
def test_change_that_depends_on_an_invalid_field_is_refused(api, columns, fields, mistake):
    task = stored_import()
    update_row(task, **columns)

    response = api.patch(address(task), fields)

    assert response.status_code == 400
    assert mistake in mistakes(response)


def test_unregistered_task_can_be_disabled_and_enabled(api):
    task = stored(task="project.tasks.vanished")

    for enabled in (False, True):
        response = api.patch(address(task), {"enabled": enabled})

        assert response.status_code == 200
        assert response.json()["enabled"] is enabled


def test_past_clocked_task_cannot_be_enabled(api):
    clocked = ClockedSchedule.objects.create(clocked_time=YESTERDAY)
    task = stored(clocked=clocked, one_off=True, enabled=False)

    refused = api.patch(address(task), {"enabled": True})
    taken = api.patch(address(task), {"enabled": True, "schedule": NEW_YEAR_2100})

    assert mistakes(refused) == [("/schedule", "never_due")]
    assert taken.status_code == 200
    assert taken.json()["next_run_at"] == "2100-01-01T00:00:00Z"


def test_enabling_a_done_one_off_task_lets_it_run_once_more(api):
    task = stored(one_off=True, enabled=False, last_run_at=AN_HOUR_AGO, total_run_count=1)

    response = api.patch(address(task), {"enabled": True})

    assert response.status_code == 200
    assert response.json()["total_run_count"] == 0
    assert response.json()["next_run_at"] is not None


@pytest.mark.parametrize(
    ("columns", "mistake", "repair"),
    [
        (
            {"expires": NOW + timedelta(days=1), "expire_seconds": 60},
            ("/expire_seconds", "ambiguous"),
            {"expire_seconds": None},
        ),
        (
            {"expires": NOW + timedelta(days=1), "expire_seconds": 0},
            ("/expire_seconds", "ambiguous"),
            {"expire_seconds": None},
        ),
        ({"interval": None}, ("/schedule", "required"), {"schedule": NIGHTLY}),
    ],
)
def test_invalid_row_that_cannot_be_saved_must_be_repaired_first(api, columns, mistake, repair):
    task = stored()
    update_row(task, **columns)

    refused = api.patch(address(task), {"description": "New"})
    taken = api.patch(address(task), {"description": "New", **repair})

    assert refused.status_code == 400
    assert mistakes(refused) == [mistake]
    assert taken.status_code == 200


def test_repeating_clocked_row_must_be_repaired_first(api):
    clocked = ClockedSchedule.objects.create(clocked_time=NOW + timedelta(days=1))
    task = stored(clocked=clocked, one_off=True)
    update_row(task, one_off=False)

    refused = api.patch(address(task), {"description": "New"})
    taken = api.patch(address(task), {"description": "New", "one_off": True})

    assert mistakes(refused) == [("/one_off", "not_one_off")]
    assert taken.status_code == 200


def test_change_of_a_row_with_two_schedules_keeps_one(api):
    task = stored()
    update_row(task, crontab=CrontabSchedule.objects.create(minute="0"))

    response = api.patch(address(task), {"description": "New"})

    assert response.status_code == 200
    assert response.json()["interval"] == task.interval_id
    assert response.json()["crontab"] is None
