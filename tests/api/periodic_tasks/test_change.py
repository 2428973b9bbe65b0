"""PATCH /api/v1/periodic-tasks/{id}/."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_beat.models import (
    CrontabSchedule,
    PeriodicTask,
    PeriodicTasks,
)
from django_celery_beat.schedulers import ModelEntry

from tests.api.periodic_tasks.examples import (
    EVERY_30_SECONDS,
    NEW_YEAR_2100,
    NIGHTLY,
    TASKS,
    address,
    heartbeat,
    mistakes,
    stored,
    stored_import,
    update_row,
    without,
)

NOW = timezone.now()
AN_HOUR_AGO = NOW - timedelta(hours=1)
YESTERDAY = NOW - timedelta(days=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Renamed"},
        {"description": "New"},
        {"enabled": False},
        {"one_off": True},
        {"queue": "celery"},
        {"headers": {"x-tenant": "acme"}},
        {"priority": 0},
        {"start_time": "2100-01-01T00:00:00Z"},
        {"expires": "2100-01-01T00:00:00Z"},
        {"expire_seconds": 60},
        {"args": ["a", "b"]},
        {"kwargs": {}},
        {"task": "project.tasks.heartbeat", "args": [], "kwargs": {}},
        {"name": "Renamed", "enabled": False, "description": "New"},
    ],
)
def test_change_writes_only_the_given_fields(api, fields):
    task = stored_import(last_run_at=AN_HOUR_AGO, total_run_count=5)
    before = api.get(address(task)).json()

    response = api.patch(address(task), fields)

    after = response.json()
    moving = ("date_changed", "next_run_at", "revision")
    assert response.status_code == 200
    assert without(after, *moving) == {**without(before, *moving), **fields}
    assert after["date_changed"] > before["date_changed"]
    assert api.get(address(task)).json() == after


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "Import contacts"},
        {"args": ["arg1", "arg2"], "kwargs": {"be_careful": True}},
        {"schedule": EVERY_30_SECONDS},
        {"schedule": None},
        {"crontab": None},
        {"expires": None, "enabled": True},
        {"total_run_count": 0, "last_run_at": None},
    ],
)
def test_change_without_effect_writes_nothing(api, fields):
    task = stored_import()
    row = PeriodicTask.objects.filter(pk=task.pk).values()
    before, last_change = row.get(), PeriodicTasks.last_change()

    response = api.patch(address(task), fields)

    assert response.status_code == 200
    assert row.get() == before
    assert PeriodicTasks.last_change() == last_change


@pytest.mark.both_databases
def test_change_notifies_stock_beat(api):
    task = stored()
    last_change = PeriodicTasks.last_change()

    api.patch(address(task), {"description": "New"})

    assert PeriodicTasks.last_change() > last_change


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({"name": ""}, ("/name", "blank")),
        ({"name": None}, ("/name", "null")),
        ({"name": "n" * 201}, ("/name", "max_length")),
        ({"enabled": "false"}, ("/enabled", "invalid")),
        ({"descriptoin": "New"}, ("/descriptoin", "unknown_field")),
        ({"expires": "2001-01-01T00:00:00Z"}, ("/expires", "never_due")),
        ({"expires": "2100-01-01T00:00:00"}, ("/expires", "invalid")),
        ({"start_time": 5}, ("/start_time", "invalid")),
        ({"expire_seconds": 0}, ("/expire_seconds", "min_value")),
        ({"priority": 256}, ("/priority", "max_value")),
        ({"queue": "celerie"}, ("/queue", "unknown_queue")),
        ({"headers": {"retries": "5"}}, ("/headers/retries", "invalid_header")),
        ({"interval": None}, ("/schedule", "required")),
        ({"interval": None, "schedule": None}, ("/schedule", "required")),
        ({"interval": 10**9}, ("/interval", "does_not_exist")),
        ({"interval": 10**9, "schedule": NIGHTLY}, ("/interval", "does_not_exist")),
        ({"schedule": {**NIGHTLY, "minute": "60"}}, ("/schedule/minute", "out_of_range")),
    ],
)
def test_change_with_a_mistake_is_refused(api, fields, mistake):
    task = stored_import()
    row = PeriodicTask.objects.filter(pk=task.pk).values()
    before = row.get()

    response = api.patch(address(task), fields)

    assert response.status_code == 400
    assert mistakes(response) == [mistake]
    assert row.get() == before


def test_change_to_two_kinds_of_expiry_is_refused(api):
    task = stored(expire_seconds=60)

    refused = api.patch(address(task), {"expires": "2100-01-01T00:00:00Z"})
    taken = api.patch(address(task), {"expires": "2100-01-01T00:00:00Z", "expire_seconds": None})

    assert mistakes(refused) == [("/expire_seconds", "ambiguous")]
    assert taken.status_code == 200


def test_change_of_a_missing_task_is_not_found(api):
    assert api.patch(f"{TASKS}1/", {"name": "Renamed"}).status_code == 404


# --- Names ----------------------------------------------------------------------------------


@pytest.mark.both_databases
def test_change_to_a_taken_name_is_refused(api):
    stored(name="Taken")
    task = stored()

    response = api.patch(address(task), {"name": "Taken"})

    assert response.status_code == 409
    assert response.json()["code"] == "name_taken"
    assert response.json()["detail"] == "The name 'Taken' is taken."


@pytest.mark.both_databases
def test_change_to_a_name_taken_by_a_concurrent_request_is_refused(api, monkeypatch):
    stored(name="Taken")
    task = stored()
    monkeypatch.setattr(PeriodicTask, "validate_unique", lambda self: None)  # both pass the check

    response = api.patch(address(task), {"name": "Taken", "schedule": NIGHTLY})

    task.refresh_from_db()
    assert response.status_code == 409
    assert response.json()["code"] == "name_taken"
    assert task.name == "Heartbeat"
    assert not CrontabSchedule.objects.exists()


# --- Schedules ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schedules",
    [
        {"schedule": NIGHTLY},
        {"schedule": NIGHTLY, "interval": None},
        {"schedule": {"type": "crontab", "expression": "30 2 * * *", "timezone": "Europe/Berlin"}},
    ],
)
def test_change_of_schedule_inline(api, schedules):
    task = stored()

    response = api.patch(address(task), schedules)

    assert response.status_code == 200
    assert response.json()["interval"] is None
    assert response.json()["crontab"] == response.json()["schedule"]["id"]
    assert response.json()["schedule"] == {**response.json()["schedule"], **NIGHTLY}


@pytest.mark.parametrize("others", [{}, {"interval": None}, {"schedule": None, "solar": None}])
def test_change_of_schedule_by_id(api, others):
    task, hourly = stored(), CrontabSchedule.objects.create(minute="0")

    response = api.patch(address(task), {"crontab": hourly.pk, **others})

    assert response.status_code == 200
    assert response.json()["crontab"] == hourly.pk
    assert response.json()["interval"] is None


def test_change_of_a_shared_schedule_leaves_other_tasks_unchanged(api):
    one, other = stored(name="One"), stored(name="Other")
    shared = one.interval

    response = api.patch(address(one), {"schedule": {**EVERY_30_SECONDS, "every": 31}})

    shared.refresh_from_db()
    other.refresh_from_db()
    assert response.json()["schedule"]["every"] == 31
    assert response.json()["interval"] != shared.pk
    assert other.interval_id == shared.pk
    assert shared.every == 30


@pytest.mark.both_databases
def test_change_reuses_an_equal_stored_schedule(api):
    hourly = CrontabSchedule.objects.create(minute="0", timezone="UTC")
    task = stored()

    response = api.patch(
        address(task), {"schedule": {"type": "crontab", "minute": "0", "timezone": "UTC"}}
    )

    assert response.json()["crontab"] == hourly.pk


def test_change_to_a_clocked_schedule_sets_one_off(api):
    task = stored()

    response = api.patch(address(task), {"schedule": NEW_YEAR_2100})

    assert response.status_code == 200
    assert response.json()["one_off"] is True


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({"one_off": False}, ("/one_off", "not_one_off")),
        ({"expires": "2099-01-01T00:00:00Z"}, ("/expires", "never_due")),
    ],
)
def test_clocked_task_cannot_repeat(api, fields, mistake):
    task = api.post(TASKS, heartbeat(schedule=NEW_YEAR_2100)).json()

    response = api.patch(f"{TASKS}{task['id']}/", fields)

    assert response.status_code == 400
    assert mistakes(response) == [mistake]


# --- Writes of beat -------------------------------------------------------------------------


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("fields", "columns"),
    [
        ({"description": "New"}, {"description"}),
        ({"enabled": False}, {"enabled"}),
        ({"args": ["a", "b"], "name": "Renamed"}, {"args", "name"}),
        ({"schedule": NIGHTLY}, {"interval_id", "crontab_id"}),
    ],
)
def test_change_writes_only_the_columns_that_differ(api, fields, columns):
    task = stored_import(last_run_at=AN_HOUR_AGO)

    with CaptureQueriesContext(connection) as queries:
        api.patch(address(task), fields)

    updates = [
        query["sql"].partition(" WHERE ")[0]
        for query in queries
        if query["sql"].startswith(f'UPDATE "{PeriodicTask._meta.db_table}"')
    ]
    written = [set(re.findall(r'"(\w+)" = ', update)) for update in updates]
    assert written == [columns | {"date_changed"}]


@pytest.mark.both_databases
@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("enabled", [True, False])
def test_change_keeps_a_run_that_beat_records_meanwhile(api, monkeypatch, method, enabled):
    task = stored(last_run_at=YESTERDAY, total_run_count=5)
    validate = PeriodicTask.validate_unique

    def validate_while_it_runs(self):
        update_row(task, last_run_at=AN_HOUR_AGO, total_run_count=6)
        validate(self)

    monkeypatch.setattr(PeriodicTask, "validate_unique", validate_while_it_runs)

    response = getattr(api, method)(address(task), heartbeat(description="New", enabled=enabled))

    task.refresh_from_db()
    assert response.status_code == 200
    assert task.description == "New"
    assert (task.last_run_at, task.total_run_count) == (AN_HOUR_AGO, 6)


@pytest.mark.both_databases
def test_concurrent_changes_of_different_fields_both_persist(two_at_once):
    task = stored()
    fields = [{"description": "New"}, {"priority": 5}]

    responses = two_at_once(lambda client, number: client.patch(address(task), fields[number]))

    task.refresh_from_db()
    assert [response.status_code for response in responses] == [200, 200]
    assert (task.description, task.priority) == ("New", 5)


# --- Disabling and enabling -----------------------------------------------------------------


def test_disabling_keeps_last_run_at(api):
    task = stored(last_run_at=AN_HOUR_AGO, total_run_count=5)

    response = api.patch(address(task), {"enabled": False})

    task.refresh_from_db()
    assert (task.last_run_at, task.total_run_count) == (AN_HOUR_AGO, 5)
    assert response.json()["total_run_count"] == 5
    assert response.json()["last_run_at"] is not None
    assert response.json()["next_run_at"] is None


def test_enabling_does_not_run_the_task_at_once(api):
    task = stored(last_run_at=AN_HOUR_AGO, total_run_count=5)
    api.patch(address(task), {"enabled": False})

    response = api.patch(address(task), {"enabled": True})

    task.refresh_from_db()
    assert task.last_run_at is None
    assert task.total_run_count == 5
    assert not ModelEntry(task).is_due().is_due
    assert response.json()["next_run_at"] > response.json()["date_changed"]


def test_change_of_an_enabled_task_keeps_last_run_at(api):
    task = stored(last_run_at=AN_HOUR_AGO, total_run_count=5)

    api.patch(address(task), {"enabled": True, "description": "New"})

    task.refresh_from_db()
    assert task.last_run_at == AN_HOUR_AGO


def test_change_of_a_disabled_task_keeps_last_run_at(api):
    task = stored(total_run_count=5)
    update_row(task, enabled=False, last_run_at=AN_HOUR_AGO)

    api.patch(address(task), {"description": "New"})

    task.refresh_from_db()
    assert task.last_run_at == AN_HOUR_AGO
