"""The tasks of workers whose code the API process does not have."""

from datetime import timedelta

import pytest

from scheduler_api.catalogue.models import TaskSpec, Worker
from tests.catalogue.workers import BOOKS, REPORT, close_books, kill, seen, send_report, worker
from tests.client import KEY_QUERIES

TASKS = "/api/v1/tasks/"
pytestmark = pytest.mark.django_db


def listed(api):
    return {task["name"]: task for task in api.get(TASKS).json()["results"]}


def test_they_are_listed_in_their_place(api):
    worker(send_report, close_books)

    names = list(listed(api))

    assert {REPORT, BOOKS, "project.tasks.add"} <= set(names)
    assert names == sorted(names)


def test_one_is_told_with_who_has_it(api):
    one = worker(send_report, queues=("celery", "slow"), version="1.2")
    two = worker(send_report, name="celery@two", version="1.3")
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


def test_the_list_has_of_the_workers_how_many_and_when_one_was_seen(api):
    one = worker(send_report, close_books)
    two = worker(send_report, name="celery@two")
    seen(one, ago=timedelta(hours=1))
    TaskSpec.objects.update(last_seen_at=Worker.objects.get(pk=one.pk).last_seen_at)
    worker(name="celery@three")

    tasks = listed(api)

    last = {each.name: each.last_seen_at.isoformat() for each in Worker.objects.all()}
    assert [
        (tasks[name]["worker_count"], tasks[name]["last_seen_at"][:19]) for name in (REPORT, BOOKS)
    ] == [(1, last[two.name][:19]), (0, last[one.name][:19])]
    assert tasks["project.tasks.add"]["worker_count"] == 0
    for name in (REPORT, BOOKS):
        whole = api.get(f"{TASKS}{name}/").json()
        assert {**tasks[name], "workers": whole["workers"]} == whole


def test_one_that_this_process_has_too_is_as_its_own_code_says(api):
    def add(other: str) -> None:
        """Something else."""

    add.__name__ = "add"
    one = worker(add)
    one.task_list.specs.update(name="project.tasks.add")

    task = api.get(f"{TASKS}project.tasks.add/").json()

    assert task["doc"] == "Add two whole numbers."
    assert [each["name"] for each in task["workers"]] == [one.name]


def test_a_misspelt_name_is_told_which_was_meant(api):
    worker(send_report)

    response = api.get(f"{TASKS}elsewhere.send_reports/")

    assert response.status_code == 404
    assert f"did you mean '{REPORT}'?" in response.json()["detail"]


def test_its_etag_changes_with_the_task_and_not_with_its_workers(api):
    one = worker(send_report)
    tag = api.get(f"{TASKS}{REPORT}/").headers["ETag"]
    kill(one)

    unchanged = api.get(f"{TASKS}{REPORT}/", headers={"If-None-Match": tag})

    assert unchanged.status_code == 304


def test_two_hundred_workers_cost_as_many_queries_as_one(api, django_assert_num_queries):
    for number in range(5):
        worker(send_report, close_books, name=f"celery@{number}")

    with django_assert_num_queries(KEY_QUERIES + 3):
        api.get(TASKS)
