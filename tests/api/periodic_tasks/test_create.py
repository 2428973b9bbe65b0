"""POST /api/v1/periodic-tasks/."""

from datetime import UTC, datetime

import pytest
from django.core.exceptions import ValidationError
from django_celery_beat.models import (
    CrontabSchedule,
    PeriodicTask,
    PeriodicTasks,
)
from django_celery_beat.schedulers import ModelEntry

from tests.api.periodic_tasks.examples import (
    DEFAULT_POLICIES,
    EVERY_30_SECONDS,
    EVERY_KIND,
    NIGHTLY,
    TASKS,
    heartbeat,
    imports,
    mistakes,
    names,
    stored,
    without,
)

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)


def test_create_with_required_fields_uses_defaults(api, time_machine):
    time_machine.move_to(NOON, tick=False)

    response = api.post(TASKS, imports())

    task = PeriodicTask.objects.get()
    assert response.status_code == 201
    assert response.headers["Location"] == f"http://testserver{TASKS}{task.pk}/"
    assert response.json() == {
        "id": task.pk,
        "name": "Import contacts",
        "task": "project.tasks.import_contacts",
        "schedule": {
            "id": task.interval_id,
            "type": "interval",
            "every": 30,
            "period": "seconds",
            "description": "Every 30 seconds",
        },
        "interval": task.interval_id,
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
        "expires": None,
        "expire_seconds": None,
        "one_off": False,
        **DEFAULT_POLICIES,
        "enabled": True,
        "paused": False,
        "paused_until": None,
        "pause_note": "",
        "description": "",
        "labels": {},
        "owner": "tests",
        "managed_by": "api",
        "revision": 1,
        "next_run_at": "2027-06-01T12:00:30Z",
        "last_run": None,
        "last_run_at": None,
        "total_run_count": 0,
        "missed_count": 0,
        "last_error": "",
        "warnings": [],
        "date_changed": "2027-06-01T12:00:00Z",
    }


@pytest.mark.both_databases
def test_create_stores_and_shows_every_field(api):
    everything = {
        "name": "Import contacts",
        "task": "project.tasks.import_contacts",
        "args": ["arg1", "arg2"],
        "kwargs": {"be_careful": True},
        "queue": "celery",
        "headers": {"x-tenant": "acme"},
        "priority": 9,
        "start_time": "2100-01-01T00:00:00Z",
        "expires": "2101-01-01T00:00:00Z",
        "one_off": True,
        "misfire": "run_all",
        "catchup_window_seconds": 60,
        "overlap": "skip",
        "jitter_seconds": 30,
        "max_runtime_seconds": 7200,
        "max_attempts": 5,
        "retry_backoff_seconds": 60,
        "pause_after_failures": 3,
        "enabled": False,
        "description": "Brings the contacts in.",
    }

    response = api.post(TASKS, {**everything, "schedule": EVERY_30_SECONDS})

    assert response.status_code == 201
    assert response.json() == {**response.json(), **everything}
    assert api.get(response.headers["Location"]).json() == response.json()


@pytest.mark.both_databases
def test_create_shows_times_in_utc(api):
    body = heartbeat(start_time="2100-01-01T02:00:00+02:00", expires="2101-01-01T00:00:00-01:30")

    task = api.post(TASKS, body).json()

    assert task["start_time"] == "2100-01-01T00:00:00Z"
    assert task["expires"] == "2101-01-01T01:30:00Z"


def test_create_ignores_read_only_fields(api):
    body = heartbeat(
        id=77,
        last_run_at="2001-01-01T00:00:00Z",
        total_run_count=5,
        date_changed="2001-01-01T00:00:00Z",
        next_run_at="2001-01-01T00:00:00Z",
    )

    task = api.post(TASKS, body).json()

    assert task["id"] != 77
    assert task["last_run_at"] is None
    assert task["total_run_count"] == 0
    assert task["date_changed"] > "2001-01-01T00:00:00Z"
    assert task["next_run_at"] > "2001-01-01T00:00:00Z"


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "body",
    [
        imports(),
        imports(args=[], kwargs={"arg1": "ä", "arg2": "\U0001f600", "be_careful": False}),
        heartbeat(),
        heartbeat(headers={"x-tenant": "acme"}, queue="celery", priority=0),
        heartbeat(expire_seconds=60),
        *(heartbeat(schedule=schedule) for schedule in EVERY_KIND),
    ],
)
def test_created_task_is_loaded_by_stock_beat(api, body):
    api.post(TASKS, body)

    entry = ModelEntry(PeriodicTask.objects.get())

    options = {
        "queue": body.get("queue"),
        "priority": body.get("priority"),
        "expires": body.get("expire_seconds"),
    }
    assert entry.task == body["task"]
    assert entry.args == body.get("args", [])
    assert entry.kwargs == body.get("kwargs", {})
    assert entry.options == {
        "headers": {**body.get("headers", {}), "periodic_task_name": body["name"]},
        **{name: value for name, value in options.items() if value is not None},
    }
    assert entry.is_due().next > 0


@pytest.mark.both_databases
def test_create_notifies_stock_beat(api):
    assert PeriodicTasks.last_change() is None

    api.post(TASKS, heartbeat())

    assert PeriodicTasks.last_change() is not None


# --- Names ----------------------------------------------------------------------------------


def test_create_with_a_name_of_201_characters_is_refused(api):
    assert api.post(TASKS, heartbeat(name="n" * 200)).status_code == 201

    response = api.post(TASKS, heartbeat(name="n" * 201))

    assert response.status_code == 400
    assert mistakes(response) == [("/name", "max_length")]


@pytest.mark.both_databases
def test_create_with_a_taken_name_is_refused(api):
    api.post(TASKS, heartbeat())

    response = api.post(TASKS, heartbeat(schedule=NIGHTLY))

    assert response.status_code == 409
    assert response.json()["code"] == "name_taken"
    assert "'Heartbeat'" in response.json()["detail"]
    assert names(api.get(TASKS)) == ["Heartbeat"]
    assert not CrontabSchedule.objects.exists()


@pytest.mark.both_databases
def test_create_with_a_name_taken_by_a_concurrent_request_is_refused(api, monkeypatch):
    stored()
    monkeypatch.setattr(PeriodicTask, "validate_unique", lambda self: None)  # both pass the check

    response = api.post(TASKS, heartbeat())

    assert response.status_code == 409
    assert response.json()["code"] == "name_taken"


@pytest.mark.both_databases
def test_create_with_another_unique_error_is_not_reported_as_name_taken(api, monkeypatch):
    def refuse(self):
        raise ValidationError("A rule of a later django-celery-beat.")

    monkeypatch.setattr(PeriodicTask, "validate_unique", refuse)
    api.raise_request_exception = False

    response = api.post(TASKS, heartbeat())

    assert response.json()["code"] != "name_taken"


@pytest.mark.both_databases
def test_concurrent_creates_with_one_name_create_one_task(two_at_once):
    responses = two_at_once(lambda client, number: client.post(TASKS, heartbeat()))

    assert sorted(response.status_code for response in responses) == [201, 409]
    assert PeriodicTask.objects.count() == 1


# --- JSON types -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({"name": ""}, ("/name", "blank")),
        ({"name": "  "}, ("/name", "blank")),
        ({"name": None}, ("/name", "null")),
        ({"name": 5}, ("/name", "invalid")),
        ({"task": ""}, ("/task", "blank")),
        ({"task": None}, ("/task", "null")),
        ({"task": ["project.tasks.heartbeat"]}, ("/task", "invalid")),
        ({"task": "t" * 201}, ("/task", "max_length")),
        ({"enabled": "true"}, ("/enabled", "invalid")),
        ({"enabled": 1}, ("/enabled", "invalid")),
        ({"enabled": None}, ("/enabled", "null")),
        ({"one_off": "no"}, ("/one_off", "invalid")),
        ({"description": 5}, ("/description", "invalid")),
        ({"description": None}, ("/description", "null")),
        ({"args": {}}, ("/args", "invalid")),
        ({"args": "[]"}, ("/args", "invalid")),
        ({"args": None}, ("/args", "null")),
        ({"kwargs": []}, ("/kwargs", "invalid")),
        ({"kwargs": "{}"}, ("/kwargs", "invalid")),
        ({"kwargs": None}, ("/kwargs", "null")),
        ({"headers": []}, ("/headers", "invalid")),
        ({"headers": "{}"}, ("/headers", "invalid")),
        ({"queue": 5}, ("/queue", "invalid")),
        ({"queue": ""}, ("/queue", "blank")),
        ({"exchange": ""}, ("/exchange", "blank")),
        ({"routing_key": ""}, ("/routing_key", "blank")),
    ],
)
def test_create_with_a_value_of_the_wrong_type_is_refused(api, fields, mistake):
    response = api.post(TASKS, heartbeat(**fields))

    assert response.status_code == 400
    assert mistake in mistakes(response)


@pytest.mark.parametrize("name", ["name", "task", "schedule"])
def test_create_without_a_required_field_is_refused(api, name):
    response = api.post(TASKS, without(heartbeat(), name))

    assert response.status_code == 400
    assert mistakes(response) == [(f"/{name}", "required")]


@pytest.mark.parametrize("body", [[], [heartbeat()], "heartbeat", 5, None])
def test_create_with_a_body_that_is_no_object_is_refused(api, body):
    response = api.post(TASKS, body, format="json")

    assert response.status_code == 400
    assert not PeriodicTask.objects.exists()


def test_create_with_an_unknown_field_gets_a_suggestion(api):
    response = api.post(TASKS, heartbeat(crontabs=1))

    assert response.status_code == 400
    assert mistakes(response) == [("/crontabs", "unknown_field")]
    assert "did you mean 'crontab'?" in response.json()["errors"][0]["detail"]


def test_create_reports_all_mistakes_at_once(api):
    body = imports(
        args=[1],
        kwargs={"be_carefull": True},
        headers={"task": "project.tasks.fail"},
        queue="celerie",
        exchange="amq.topic",
        expires="2001-01-01T00:00:00Z",
        expire_seconds=5,
    )

    response = api.post(TASKS, body)

    assert response.status_code == 400
    assert mistakes(response) == [
        ("/args/0", "invalid_argument"),
        ("/exchange", "not_allowed"),
        ("/expire_seconds", "ambiguous"),
        ("/expires", "never_due"),
        ("/headers/task", "invalid_header"),
        ("/kwargs/arg2", "missing_argument"),
        ("/kwargs/be_carefull", "unexpected_argument"),
        ("/queue", "unknown_queue"),
    ]


def test_create_without_a_schedule_reports_other_mistakes_too(api):
    response = api.post(TASKS, without(imports(args=[1, "b"]), "schedule"))

    assert mistakes(response) == [("/args/0", "invalid_argument"), ("/schedule", "required")]
