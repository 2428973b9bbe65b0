"""PUT /api/v1/periodic-tasks/{id}/."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
)

from tests.api.periodic_tasks.examples import (
    EVERY_30_SECONDS,
    EVERY_KIND,
    NEW_YEAR_2100,
    NIGHTLY,
    TASKS,
    address,
    heartbeat,
    imports,
    mistakes,
    stored,
    stored_import,
    update_row,
    without,
)

YESTERDAY = timezone.now() - timedelta(days=1)


def done_clocked_task() -> PeriodicTask:
    clocked = ClockedSchedule.objects.create(clocked_time=YESTERDAY)
    return stored(clocked=clocked, one_off=True, enabled=False, total_run_count=1)


def expired_task() -> PeriodicTask:
    return stored(expires=YESTERDAY)


def unregistered_task() -> PeriodicTask:
    return stored(task="project.tasks.vanished", args='["what it took"]')


def task_with_other_json_formatting() -> PeriodicTask:
    args, kwargs = '["ä","b"]', '{ "be_careful":true }'
    return stored_import(args=args, kwargs=kwargs, headers='{"x-tenant":"acme"}')


def task_with_empty_text() -> PeriodicTask:
    task = stored(args="", kwargs="")
    update_row(task, headers="")
    return task


def task_with_other_crontab_formatting() -> PeriodicTask:
    crontab = CrontabSchedule.objects.create(minute="0", hour="22-2", day_of_week="monday")
    return stored(crontab=crontab)


def task_with_duplicate_schedule() -> PeriodicTask:
    IntervalSchedule.objects.create(every=30, period="seconds")
    return stored(interval=IntervalSchedule.objects.create(every=30, period="seconds"))


def task_with_impossible_interval() -> PeriodicTask:
    return stored(interval=IntervalSchedule.objects.create(every=2**31 - 1, period="days"))


def task_with_celery_headers() -> PeriodicTask:
    return stored(headers='{"retries": 5}', queue="undeclared", exchange="amq.topic")


@pytest.mark.parametrize("schedule", EVERY_KIND, ids=lambda schedule: schedule["type"])
def test_replace_with_the_response_of_create_changes_nothing(api, schedule):
    read = api.post(TASKS, imports(schedule=schedule)).json()
    last_change = PeriodicTasks.last_change()

    response = api.put(f"{TASKS}{read['id']}/", read)

    assert response.status_code == 200
    assert response.json() == read
    assert PeriodicTasks.last_change() == last_change


@pytest.mark.parametrize(
    "store",
    [
        stored,
        stored_import,
        done_clocked_task,
        expired_task,
        unregistered_task,
        task_with_other_json_formatting,
        task_with_empty_text,
        task_with_other_crontab_formatting,
        task_with_duplicate_schedule,
        task_with_impossible_interval,
        task_with_celery_headers,
    ],
    ids=lambda store: store.__name__,
)
def test_replace_of_an_unmanaged_task_with_its_response_changes_nothing(api, store):
    task = store()
    row = PeriodicTask.objects.filter(pk=task.pk).values()
    before, read = row.get(), api.get(address(task)).json()

    response = api.put(address(task), read)

    assert response.status_code == 200
    assert response.json() == read
    assert row.get() == before


def test_replace_with_a_changed_response_is_accepted(api):
    task = done_clocked_task()
    read = api.get(address(task)).json()

    response = api.put(address(task), {**read, "description": "It has run."})

    assert response.status_code == 200
    assert response.json()["description"] == "It has run."
    assert response.json()["schedule"] == read["schedule"]


def test_replace_writes_all_fields(api):
    task = stored_import(
        headers='{"x-tenant": "acme"}',
        queue="celery",
        priority=5,
        start_time=YESTERDAY,
        expire_seconds=60,
        one_off=True,
        enabled=False,
        description="Old",
    )

    response = api.put(address(task), heartbeat(schedule=NIGHTLY))

    assert response.status_code == 200
    assert response.json() == {
        **response.json(),
        "id": task.pk,
        **without(heartbeat(), "schedule"),
        "interval": None,
        "args": [],
        "kwargs": {},
        "headers": {},
        "queue": None,
        "priority": None,
        "start_time": None,
        "expires": None,
        "expire_seconds": None,
        "one_off": False,
        "enabled": True,
        "description": "",
    }
    assert response.json()["schedule"] == {**response.json()["schedule"], **NIGHTLY}
    assert response.json()["crontab"] == response.json()["schedule"]["id"]


@pytest.mark.parametrize("name", ["name", "task", "schedule"])
def test_replace_without_a_required_field_is_refused(api, name):
    task = stored()

    response = api.put(address(task), without(heartbeat(), name))

    assert response.status_code == 400
    assert mistakes(response) == [(f"/{name}", "required")]


def test_replace_turns_a_clocked_task_into_a_repeating_one(api):
    task = api.post(TASKS, heartbeat(schedule=NEW_YEAR_2100)).json()

    response = api.put(f"{TASKS}{task['id']}/", heartbeat(schedule=EVERY_30_SECONDS))

    assert response.status_code == 200
    assert response.json()["one_off"] is False
    assert response.json()["clocked"] is None


def test_replace_with_new_schedule_and_old_reference_is_refused(api):
    task = api.post(TASKS, heartbeat()).json()

    refused = api.put(f"{TASKS}{task['id']}/", {**task, "schedule": NIGHTLY})
    taken = api.put(f"{TASKS}{task['id']}/", {**task, "schedule": NIGHTLY, "interval": None})

    assert refused.status_code == 400
    assert mistakes(refused) == [("/interval", "ambiguous")]
    assert taken.status_code == 200
    assert taken.json()["interval"] is None
    assert taken.json()["crontab"] == taken.json()["schedule"]["id"]


def test_replace_keeps_read_only_fields(api):
    task = stored(last_run_at=YESTERDAY, total_run_count=5)
    body = heartbeat(description="New", last_run_at=None, total_run_count=0, id=77)

    response = api.put(address(task), body)

    task.refresh_from_db()
    assert response.status_code == 200
    assert response.json()["id"] == task.pk
    assert (task.last_run_at, task.total_run_count) == (YESTERDAY, 5)


def test_replace_may_keep_the_name(api):
    task = stored()

    response = api.put(address(task), heartbeat(description="New"))

    assert response.status_code == 200


@pytest.mark.both_databases
def test_replace_with_a_taken_name_is_refused(api):
    stored(name="Taken")
    task = stored()

    response = api.put(address(task), heartbeat(name="Taken", schedule=NIGHTLY))

    task.refresh_from_db()
    assert response.status_code == 409
    assert response.json()["code"] == "name_taken"
    assert task.name == "Heartbeat"
    assert not CrontabSchedule.objects.exists()


@pytest.mark.both_databases
def test_replace_with_a_name_taken_by_a_concurrent_request_is_refused(api, monkeypatch):
    stored(name="Taken")
    task = stored()
    monkeypatch.setattr(PeriodicTask, "validate_unique", lambda self: None)  # both pass the check

    response = api.put(address(task), heartbeat(name="Taken"))

    assert response.status_code == 409
    assert response.json()["code"] == "name_taken"


def test_refused_replace_changes_nothing(api):
    task = stored()
    row = PeriodicTask.objects.filter(pk=task.pk).values()
    before = row.get()

    response = api.put(address(task), imports(args=["only one"], schedule=NIGHTLY))

    assert response.status_code == 400
    assert row.get() == before
    assert not CrontabSchedule.objects.exists()


def test_replace_of_a_missing_task_is_not_found(api):
    response = api.put(f"{TASKS}1/", heartbeat())

    assert response.status_code == 404
    assert not PeriodicTask.objects.exists()
