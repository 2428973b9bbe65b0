"""Tasks that workers announce and the API process does not have."""

from datetime import timedelta

import pytest

from scheduler_api.catalogue.models import TaskSpec, Worker
from tests.catalogue.workers import (
    BOOKS,
    REPORT,
    close_books,
    kill,
    send_report,
    set_last_seen,
    start_worker,
)
from tests.client import KEY_QUERIES

TASKS = "/api/v1/tasks/"
pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


def listed(api):
    return {task["name"]: task for task in api.get(TASKS).json()["results"]}


def test_list_tasks_includes_announced_tasks_sorted_by_name(api):
    start_worker(send_report, close_books)

    names = list(listed(api))

    assert {REPORT, BOOKS, "project.tasks.add"} <= set(names)
    assert names == sorted(names)


def test_retrieve_announced_task_includes_its_workers(api):
    one = start_worker(send_report, queues=("celery", "slow"), version="1.2")
    two = start_worker(send_report, name="celery@two", version="1.3")
    kill(two)

    task = api.get(f"{TASKS}{REPORT}/").json()

    assert (task["name"], task["doc"]) == (REPORT, "Send the report of a month.")
    assert list(task["arguments"]["properties"]) == ["month", "copies", "is_draft"]
    assert task["worker_count"] == 1
    assert [
        (each["name"], each["queues"], each["version"], each["is_alive"])
        for each in task["workers"]
    ] == [
        (one.name, ["celery", "slow"], "1.2", True),
        (two.name, ["celery"], "1.3", False),
    ]
    assert task["last_seen_at"] == task["workers"][0]["last_seen_at"]


def test_list_tasks_has_worker_count_and_last_seen_at(api):
    one = start_worker(send_report, close_books)
    two = start_worker(send_report, name="celery@two")
    set_last_seen(one, ago=timedelta(hours=1))
    TaskSpec.objects.update(last_seen_at=Worker.objects.get(pk=one.pk).last_seen_at)
    start_worker(name="celery@three")

    tasks = listed(api)

    last = {each.name: each.last_seen_at.isoformat() for each in Worker.objects.all()}
    assert [
        (tasks[name]["worker_count"], tasks[name]["last_seen_at"][:19]) for name in (REPORT, BOOKS)
    ] == [(1, last[two.name][:19]), (0, last[one.name][:19])]
    assert tasks["project.tasks.add"]["worker_count"] == 0
    for name in (REPORT, BOOKS):
        whole = api.get(f"{TASKS}{name}/").json()
        assert {**tasks[name], "workers": whole["workers"]} == whole


def test_retrieve_announced_task_prefers_the_code_of_the_api_process(api):
    def add(other: str) -> None:
        """Something else."""

    add.__name__ = "add"
    one = start_worker(add)
    one.task_list.specs.update(name="project.tasks.add")

    task = api.get(f"{TASKS}project.tasks.add/").json()

    assert task["doc"] == "Add two whole numbers."
    assert [each["name"] for each in task["workers"]] == [one.name]


def test_retrieve_misspelt_task_suggests_an_announced_name(api):
    start_worker(send_report)

    response = api.get(f"{TASKS}elsewhere.send_reports/")

    assert response.status_code == 404
    assert f"did you mean '{REPORT}'?" in response.json()["detail"]


def test_etag_of_a_task_does_not_change_with_its_workers(api):
    one = start_worker(send_report)
    tag = api.get(f"{TASKS}{REPORT}/").headers["ETag"]
    kill(one)

    unchanged = api.get(f"{TASKS}{REPORT}/", headers={"If-None-Match": tag})

    assert unchanged.status_code == 304


def test_list_tasks_needs_the_same_number_of_queries_for_any_number_of_workers(
    api, django_assert_num_queries
):
    for number in range(5):
        start_worker(send_report, close_books, name=f"celery@{number}")

    with django_assert_num_queries(KEY_QUERIES + 3):
        api.get(TASKS)
