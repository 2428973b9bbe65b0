"""DELETE of a schedule: only one that no periodic task follows."""

import pytest
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from tests.api.http.answers import refusal
from tests.api.schedules.bodies import INTERVALS, KINDS, PERIODIC_TASKS, follow


@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_that_is_not_in_use_is_deleted(api, kind):
    path, body, _ = KINDS[kind]
    address = f"{path}{api.post(path, body).json()['id']}/"

    response = api.delete(address)

    assert (response.status_code, response.content) == (204, b"")
    assert refusal(api.get(address)) == (404, "not_found")
    assert refusal(api.delete(address)) == (404, "not_found")


@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_in_use_is_not_deleted_and_its_tasks_are_named(api, kind):
    path, body, _ = KINDS[kind]
    created = api.post(path, body).json()
    follow(kind, created["id"], ["b", "a"])

    response = api.delete(f"{path}{created['id']}/")

    assert refusal(response) == (409, "schedule_in_use")
    assert response.json()["used_by"] == ["a", "b"]
    assert "a, b" in response.json()["detail"]
    assert PeriodicTask.objects.count() == 2
    assert api.get(f"{path}{created['id']}/").json()["used_by"] == ["a", "b"]


def test_a_schedule_can_be_deleted_once_its_tasks_follow_another(api):
    body = {"task": "project.tasks.heartbeat", "name": "a", "schedule": {"type": "interval",
            "every": 5, "period": "days"}}  # fmt: skip
    task = api.post(PERIODIC_TASKS, body).json()
    address = f"{INTERVALS}{task['interval']}/"
    assert api.delete(address).status_code == 409

    api.delete(f"{PERIODIC_TASKS}{task['id']}/")

    assert api.delete(address).status_code == 204


def test_at_most_a_hundred_tasks_are_named(api):
    row = IntervalSchedule.objects.create(every=5, period="days")
    names = [f"task {number:03}" for number in range(105)]
    follow("interval", row.pk, names)

    response = api.delete(f"{INTERVALS}{row.pk}/")

    assert refusal(response) == (409, "schedule_in_use")
    assert response.json()["used_by"] == names[:100]
    assert "task 099 and others." in response.json()["detail"]


def test_a_task_of_another_kind_with_the_same_number_does_not_matter(api):
    interval = IntervalSchedule.objects.create(pk=77, every=5, period="days")
    crontab = CrontabSchedule.objects.create(pk=77)
    follow("crontab", crontab.pk, ["a"])

    assert api.delete(f"{INTERVALS}{interval.pk}/").status_code == 204


def test_a_row_that_others_have_spoilt_can_be_deleted(api):
    row = IntervalSchedule.objects.create(every=5, period="fortnights")

    assert api.delete(f"{INTERVALS}{row.pk}/").status_code == 204
