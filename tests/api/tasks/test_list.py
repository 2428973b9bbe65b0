"""GET /api/v1/tasks/."""

import pytest
from celery import current_app

from tests.client import KEY_QUERIES

TASKS = "/api/v1/tasks/"


def report(month: str, *, copies: int = 1) -> None:
    """Print a report."""


@pytest.fixture
def a_task_of_the_project():
    """A task that only this test registers."""
    task = current_app.task(name="a_project.report", lazy=False)(report)
    yield task
    current_app.tasks.unregister(task)


def test_list_tasks_has_the_sample_tasks(api):
    names = [task["name"] for task in api.get(TASKS).json()["results"]]

    assert names == [
        "project.tasks.add",
        "project.tasks.clean_up",
        "project.tasks.fail",
        "project.tasks.fail_at_first",
        "project.tasks.heartbeat",
        "project.tasks.import_contacts",
        "project.tasks.sign_in",
        "project.tasks.sleep",
        "scheduler_api.tasks.http_request",
        "scheduler_api.tasks.prune_runs",
    ]


def test_list_tasks_has_tasks_of_the_project_sorted_by_name(api, a_task_of_the_project):
    page = api.get(TASKS).json()

    names = [task["name"] for task in page["results"]]
    assert a_task_of_the_project.name in names
    assert names == sorted(names)
    assert (page["next"], page["previous"]) == (None, None)


def test_list_tasks_omits_those_of_celery(api):
    names = {task["name"] for task in api.get(TASKS).json()["results"]}

    assert any(name.startswith("celery.") for name in current_app.tasks)
    assert not any(name.startswith("celery.") for name in names)


def test_list_tasks_has_each_one_as_retrieved(api):
    for task in api.get(TASKS).json()["results"]:
        assert api.get(f"{TASKS}{task['name']}/").json() == {**task, "workers": []}


def test_list_tasks_without_announced_tasks_needs_one_query(api, django_assert_num_queries):
    with django_assert_num_queries(KEY_QUERIES + 1):
        assert api.get(TASKS).status_code == 200


@pytest.mark.parametrize("query", [{"search": "add"}, {"page_size": "1"}, {"ordering": "name"}])
def test_list_tasks_with_a_query_parameter_is_refused(api, query):
    response = api.get(TASKS, query)

    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "unknown_parameter"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_list_of_tasks_is_read_only(api, method):
    response = getattr(api, method)(TASKS, {"name": "project.tasks.new"})

    assert response.status_code == 405
    assert response.json()["code"] == "method_not_allowed"
