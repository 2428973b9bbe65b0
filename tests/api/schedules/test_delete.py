"""DELETE of a schedule, which no periodic task may use."""

import pytest
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from tests.api.http.responses import refusal
from tests.api.schedules.bodies import INTERVALS, KINDS, PERIODIC_TASKS, create_tasks_with

pytestmark = pytest.mark.both_databases


@pytest.mark.parametrize("kind", KINDS)
def test_delete_schedule_that_is_not_in_use(api, kind):
    path, body, _ = KINDS[kind]
    address = f"{path}{api.post(path, body).json()['id']}/"

    response = api.delete(address)

    assert (response.status_code, response.content) == (204, b"")
    assert refusal(api.get(address)) == (404, "not_found")
    assert refusal(api.delete(address)) == (404, "not_found")


@pytest.mark.parametrize("kind", KINDS)
def test_delete_schedule_in_use_is_refused_with_the_names_of_its_tasks(api, kind):
    path, body, _ = KINDS[kind]
    created = api.post(path, body).json()
    create_tasks_with(kind, created["id"], ["b", "a"])

    response = api.delete(f"{path}{created['id']}/")

    assert refusal(response) == (409, "schedule_in_use")
    assert response.json()["used_by"] == ["a", "b"]
    assert "a, b" in response.json()["detail"]
    assert PeriodicTask.objects.count() == 2
    assert api.get(f"{path}{created['id']}/").json()["used_by"] == ["a", "b"]


def test_delete_schedule_after_its_last_task_is_deleted(api):
    body = {"task": "project.tasks.heartbeat", "name": "a", "schedule": {"type": "interval",
            "every": 5, "period": "days"}}  # fmt: skip
    task = api.post(PERIODIC_TASKS, body).json()
    address = f"{INTERVALS}{task['interval']}/"
    assert api.delete(address).status_code == 409

    api.delete(f"{PERIODIC_TASKS}{task['id']}/")

    assert api.delete(address).status_code == 204


def test_delete_schedule_in_use_names_at_most_100_tasks(api):
    row = IntervalSchedule.objects.create(every=5, period="days")
    names = [f"task {number:03}" for number in range(105)]
    create_tasks_with("interval", row.pk, names)

    response = api.delete(f"{INTERVALS}{row.pk}/")

    assert refusal(response) == (409, "schedule_in_use")
    assert response.json()["used_by"] == names[:100]
    assert "task 099 and others." in response.json()["detail"]


def test_delete_schedule_ignores_tasks_of_another_kind_with_the_same_id(api):
    interval = IntervalSchedule.objects.create(pk=77, every=5, period="days")
    crontab = CrontabSchedule.objects.create(pk=77)
    create_tasks_with("crontab", crontab.pk, ["a"])

    assert api.delete(f"{INTERVALS}{interval.pk}/").status_code == 204


def test_delete_schedule_with_an_invalid_row(api):
    row = IntervalSchedule.objects.create(every=5, period="fortnights")

    assert api.delete(f"{INTERVALS}{row.pk}/").status_code == 204
