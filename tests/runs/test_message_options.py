"""Checks and options of a message, from the row of a periodic task."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler_api.catalogue import task_lookup
from scheduler_api.runs.message_options import options_of, problem_with
from tests.catalogue.workers import REPORT, close_books, send_report, start_worker

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
AN_HOUR_LATER = (NOON + timedelta(hours=1)).isoformat()


GOOD: dict[str, Any] = {
    "task": "project.tasks.add",
    "args": "[1, 2]",
    "kwargs": "{}",
    "headers": "{}",
    "queue": None,
    "exchange": None,
    "routing_key": None,
    "priority": None,
}


def problem(*, is_adopted: bool = False, **columns: Any) -> str:
    return problem_with(SimpleNamespace(**{**GOOD, **columns}), is_adopted=is_adopted)


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"task": "project.tasks.fail", "args": None, "kwargs": None, "headers": None},
        {"task": "project.tasks.fail", "args": "", "kwargs": "", "headers": ""},
        {"queue": "", "exchange": "", "routing_key": ""},
        {"headers": '{"x-tenant": "a", "X-B": ""}'},
        {"headers": '{"tenant": "a", "Task": 1, "flags": [true, null, {"a": 1.5}]}'},
        {"queue": "celery", "priority": 255},
        {"task": "celery.backend_cleanup", "args": "[]"},
    ],
    ids=str,
)
def test_sendable_row_has_no_problem(columns):
    assert problem(**columns) == ""


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"task": "project.tasks.ad"}, "did you mean 'project.tasks.add'?"),
        ({"task": "project.tasks.ad"}, "UNREGISTERED_TASKS=allow"),
        ({"args": '{"a": "hunter2"}'}, "args is not a JSON array"),
        ({"args": "hunter2"}, "args is not a JSON array"),
        ({"args": '["hunter2"]'}, 'kwargs/y: "y" is missing'),
        ({"kwargs": '{"z": "hunter2"}'}, "kwargs/z: is unknown"),
        ({"args": "[NaN]"}, "args is not a JSON array"),
        ({"args": "[" * 2000}, "args is not a JSON array"),
        ({"kwargs": '["hunter2"]'}, "kwargs is not a JSON object"),
        ({"kwargs": '{"a": "hunter2'}, "kwargs is not a JSON object"),
        ({"headers": "[]"}, "headers is not a JSON object"),
        ({"headers": '{"task": "hunter2"}'}, "headers/task: This name belongs to Celery"),
        ({"headers": '{"CC": ["hunter2"]}'}, "headers/CC: This name belongs to RabbitMQ"),
        ({"headers": '{"": "hunter2"}'}, "1 to 255 bytes"),
        ({"headers": '{"a": [{"b": 9223372036854775808}, "hunter2"]}'}, "out of range"),
        ({"headers": '{"a": {"__type__": "hunter2", "__value__": 1}}'}, "Celery would decode it"),
        ({"queue": "nobody"}, "no queue 'nobody'"),
        ({"exchange": "mine"}, "ALLOW_CUSTOM_ROUTING"),
        ({"routing_key": "mine"}, "ALLOW_CUSTOM_ROUTING"),
        ({"priority": 256}, "between 0 and 255"),
        ({"priority": -1}, "between 0 and 255"),
    ],
    ids=str,
)
@pytest.mark.django_db
def test_unsendable_row_has_a_problem_with_its_correction(columns, says):
    for _ in range(2):  # also when it is remembered
        assert says in problem(**columns)
        assert "hunter2" not in problem(**columns)


@pytest.mark.django_db
def test_task_of_a_worker_has_no_problem(django_assert_num_queries):
    start_worker(send_report)

    # For the names, for the signature, and to say which name was meant: once each.
    with django_assert_num_queries(3):
        for _ in range(3):
            assert problem(task=REPORT) == ""
            assert "did you mean" in problem(task=f"{REPORT}s")


@pytest.mark.django_db
def test_task_registered_since_the_last_lookup_has_no_problem():
    assert problem(task=REPORT)
    start_worker(send_report)
    task_lookup.announced_names.invalidate()  # as after two seconds

    assert problem(task=REPORT) == ""


@pytest.mark.django_db
def test_adopted_row_has_no_problem_until_the_workers_of_its_queue_are_known(settings):
    settings.QUEUES = ["celery", "other"]
    for queue in (None, "celery", "other"):
        assert problem(task=REPORT, queue=queue, is_adopted=True) == ""
        assert "There is no task" in problem(task=REPORT, queue=queue)

    start_worker(close_books, queues=("other",))
    task_lookup.announced_names.invalidate()

    assert problem(task=REPORT, is_adopted=True) == ""
    assert "There is no task" in problem(task=REPORT, queue="other", is_adopted=True)


@pytest.mark.django_db
def test_settings_allow_unregistered_tasks_and_custom_routing(settings):
    settings.UNREGISTERED_TASKS = "allow"
    settings.ALLOW_CUSTOM_ROUTING = True

    assert problem(task="only.workers.know") == ""
    assert problem(exchange="mine", routing_key="key") == ""
    assert "255 bytes" in problem(exchange="ü" * 128)


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        ((None, None, None, None, None, None), {}),
        (("", "", "", None, "{}", None), {"queue": "", "exchange": "", "routing_key": ""}),
        (("q", "e", "r", 0, '{"x-a": "ü"}', None),
         {"queue": "q", "exchange": "e", "routing_key": "r", "priority": 0,
          "headers": {"x-a": "ü"}}),
        ((None, None, None, None, None, NOON), {"expires": "2027-06-01T12:00:00+00:00"}),
        (("q", None, None, None, None, NOON),
         {"queue": "q", "expires": "2027-06-01T12:00:00+00:00"}),
    ],
)  # fmt: skip
def test_options_of_a_row_are_json(columns, options):
    assert json.loads(options_of(*columns)) == options
