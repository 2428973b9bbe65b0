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
    spoil,
    stored,
    stored_import,
    without,
)

YESTERDAY = timezone.now() - timedelta(days=1)


def the_clocked_one_that_has_run() -> PeriodicTask:
    clocked = ClockedSchedule.objects.create(clocked_time=YESTERDAY)
    return stored(clocked=clocked, one_off=True, enabled=False, total_run_count=1)


def the_one_that_has_expired() -> PeriodicTask:
    return stored(expires=YESTERDAY)


def the_one_whose_task_has_vanished() -> PeriodicTask:
    return stored(task="project.tasks.vanished", args='["what it took"]')


def the_one_with_json_of_another_spelling() -> PeriodicTask:
    args, kwargs = '["ä","b"]', '{ "be_careful":true }'
    return stored_import(args=args, kwargs=kwargs, headers='{"x-tenant":"acme"}')


def the_one_with_empty_text() -> PeriodicTask:
    task = stored(args="", kwargs="")
    spoil(task, headers="")
    return task


def the_one_with_a_crontab_of_another_spelling() -> PeriodicTask:
    crontab = CrontabSchedule.objects.create(minute="0", hour="22-2", day_of_week="monday")
    return stored(crontab=crontab)


def the_one_with_the_second_of_two_equal_schedules() -> PeriodicTask:
    IntervalSchedule.objects.create(every=30, period="seconds")
    return stored(interval=IntervalSchedule.objects.create(every=30, period="seconds"))


def the_one_with_an_impossible_interval() -> PeriodicTask:
    return stored(interval=IntervalSchedule.objects.create(every=2**31 - 1, period="days"))


def the_one_with_headers_of_celerys_own() -> PeriodicTask:
    return stored(headers='{"retries": 5}', queue="undeclared", exchange="amq.topic")


@pytest.mark.parametrize("schedule", EVERY_KIND, ids=lambda schedule: schedule["type"])
def test_what_was_created_can_be_sent_back(api, schedule):
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
        the_clocked_one_that_has_run,
        the_one_that_has_expired,
        the_one_whose_task_has_vanished,
        the_one_with_json_of_another_spelling,
        the_one_with_empty_text,
        the_one_with_a_crontab_of_another_spelling,
        the_one_with_the_second_of_two_equal_schedules,
        the_one_with_an_impossible_interval,
        the_one_with_headers_of_celerys_own,
    ],
    ids=lambda store: store.__name__,
)
def test_what_others_have_stored_can_be_sent_back(api, store):
    task = store()
    row = PeriodicTask.objects.filter(pk=task.pk).values()
    before, read = row.get(), api.get(address(task)).json()

    response = api.put(address(task), read)

    assert response.status_code == 200
    assert response.json() == read
    assert row.get() == before


def test_what_was_read_may_be_sent_back_with_a_change(api):
    task = the_clocked_one_that_has_run()
    read = api.get(address(task)).json()

    response = api.put(address(task), {**read, "description": "It has run."})

    assert response.status_code == 200
    assert response.json()["description"] == "It has run."
    assert response.json()["schedule"] == read["schedule"]


def test_all_fields_are_replaced(api):
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
def test_what_is_required_to_create_is_required_to_replace(api, name):
    task = stored()

    response = api.put(address(task), without(heartbeat(), name))

    assert response.status_code == 400
    assert mistakes(response) == [(f"/{name}", "required")]


def test_a_clocked_task_becomes_a_repeated_one(api):
    task = api.post(TASKS, heartbeat(schedule=NEW_YEAR_2100)).json()

    response = api.put(f"{TASKS}{task['id']}/", heartbeat(schedule=EVERY_30_SECONDS))

    assert response.status_code == 200
    assert response.json()["one_off"] is False
    assert response.json()["clocked"] is None


def test_another_schedule_needs_the_old_reference_taken_out(api):
    task = api.post(TASKS, heartbeat()).json()

    refused = api.put(f"{TASKS}{task['id']}/", {**task, "schedule": NIGHTLY})
    taken = api.put(f"{TASKS}{task['id']}/", {**task, "schedule": NIGHTLY, "interval": None})

    assert refused.status_code == 400
    assert mistakes(refused) == [("/interval", "ambiguous")]
    assert taken.status_code == 200
    assert taken.json()["interval"] is None
    assert taken.json()["crontab"] == taken.json()["schedule"]["id"]


def test_what_only_the_service_writes_stays(api):
    task = stored(last_run_at=YESTERDAY, total_run_count=5)
    body = heartbeat(description="New", last_run_at=None, total_run_count=0, id=77)

    response = api.put(address(task), body)

    task.refresh_from_db()
    assert response.status_code == 200
    assert response.json()["id"] == task.pk
    assert (task.last_run_at, task.total_run_count) == (YESTERDAY, 5)


def test_a_task_may_keep_its_name(api):
    task = stored()

    response = api.put(address(task), heartbeat(description="New"))

    assert response.status_code == 200


def test_a_name_is_taken_once(api):
    stored(name="Taken")
    task = stored()

    response = api.put(address(task), heartbeat(name="Taken", schedule=NIGHTLY))

    task.refresh_from_db()
    assert response.status_code == 409
    assert response.json()["code"] == "name_taken"
    assert task.name == "Heartbeat"
    assert not CrontabSchedule.objects.exists()


def test_a_name_that_another_takes_meanwhile_is_taken(api, monkeypatch):
    stored(name="Taken")
    task = stored()
    monkeypatch.setattr(PeriodicTask, "validate_unique", lambda self: None)  # both look first

    response = api.put(address(task), heartbeat(name="Taken"))

    assert response.status_code == 409
    assert response.json()["code"] == "name_taken"


def test_a_refused_replacement_changes_nothing(api):
    task = stored()
    row = PeriodicTask.objects.filter(pk=task.pk).values()
    before = row.get()

    response = api.put(address(task), imports(args=["only one"], schedule=NIGHTLY))

    assert response.status_code == 400
    assert row.get() == before
    assert not CrontabSchedule.objects.exists()


def test_there_is_nothing_to_replace(api):
    response = api.put(f"{TASKS}1/", heartbeat())

    assert response.status_code == 404
    assert not PeriodicTask.objects.exists()
