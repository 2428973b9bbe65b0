"""DELETE /api/v1/periodic-tasks/{id}/."""

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from tests.api.periodic_tasks.examples import TASKS, address, stored, update_row

pytestmark = pytest.mark.both_databases


def test_delete_removes_the_task(api):
    task, other = stored(), stored(name="Other")

    response = api.delete(address(task))

    assert response.status_code == 204
    assert response.content == b""
    assert list(PeriodicTask.objects.all()) == [other]


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_deleted_task_is_not_found(api, method):
    task = stored()
    api.delete(address(task))

    response = getattr(api, method)(address(task))

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


def test_delete_keeps_the_schedule(api):
    task = stored()

    api.delete(address(task))

    assert IntervalSchedule.objects.filter(pk=task.interval_id).exists()


def test_delete_notifies_stock_beat(api):
    task = stored()
    last_change = PeriodicTasks.last_change()

    api.delete(address(task))

    assert PeriodicTasks.last_change() > last_change


def test_delete_frees_the_name(api):
    task = stored()

    api.delete(address(task))

    assert stored().pk != task.pk


def test_delete_of_an_invalid_row_succeeds(api):
    task = stored()
    update_row(task, interval=None, args="garbage", headers="[]")

    assert api.delete(address(task)).status_code == 204


@pytest.mark.parametrize("number", ["0", "99999999999999999999", "9" * 3000])
def test_delete_of_a_missing_task_is_not_found(api, number):
    assert api.delete(f"{TASKS}{number}/").status_code == 404
