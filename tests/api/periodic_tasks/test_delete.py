"""DELETE /api/v1/periodic-tasks/{id}/."""

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from tests.api.periodic_tasks.examples import TASKS, address, spoil, stored


def test_a_periodic_task_is_deleted_for_good(api):
    task, other = stored(), stored(name="Other")

    response = api.delete(address(task))

    assert response.status_code == 204
    assert response.content == b""
    assert list(PeriodicTask.objects.all()) == [other]


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_afterwards_there_is_nothing(api, method):
    task = stored()
    api.delete(address(task))

    response = getattr(api, method)(address(task))

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


def test_its_schedule_stays(api):
    task = stored()

    api.delete(address(task))

    assert IntervalSchedule.objects.filter(pk=task.interval_id).exists()


def test_stock_beat_is_told(api):
    task = stored()
    last_change = PeriodicTasks.last_change()

    api.delete(address(task))

    assert PeriodicTasks.last_change() > last_change


def test_the_name_is_free_again(api):
    task = stored()

    api.delete(address(task))

    assert stored().pk != task.pk


def test_one_that_others_have_spoilt_is_deleted(api):
    task = stored()
    spoil(task, interval=None, args="garbage", headers="[]")

    assert api.delete(address(task)).status_code == 204


@pytest.mark.parametrize("number", ["0", "99999999999999999999", "9" * 3000])
def test_there_is_nothing_to_delete(api, number):
    assert api.delete(f"{TASKS}{number}/").status_code == 404
