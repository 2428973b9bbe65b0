"""Warnings about the queue of a periodic task, and what `/readyz` reports of the queues."""

from typing import Any

import pytest
from kombu import Queue

from project.celery import app
from scheduler_api.broker.queue_mismatches import QueueMismatch
from tests.api.periodic_tasks.examples import TASKS, address, heartbeat, stored
from tests.catalogue.workers import (
    BOOKS,
    REPORT,
    close_books,
    kill,
    send_report,
    start_worker,
)

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

NO_PRIORITIES = QueueMismatch(
    queue="celery", argument="x-max-priority", there="not set", ours="10"
)


def codes(api: Any, **fields: Any) -> list[str]:
    """Return the codes of the warnings about a periodic task."""
    task = stored(**{"task": REPORT, "args": '["2027-06"]', **fields})
    return [each["code"] for each in api.get(address(task)).json()["warnings"]]


def queues(api: Any) -> str:
    """Return what `/readyz` reports of the queues."""
    return str(api.get("/readyz").json()["queues"])


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ([send_report], [send_report], []),
        ([send_report, close_books], [send_report], []),
        ([send_report], [close_books], ["shared_queue"]),
        ([send_report], [], ["shared_queue"]),
    ],
)
def test_workers_of_one_queue_without_the_task_are_a_warning(api, one, two, expected):
    start_worker(*one, name="celery@one")
    start_worker(*two, name="celery@two")

    assert codes(api) == expected


@pytest.mark.parametrize("change", ["stopped", "other queue"])
def test_worker_of_another_queue_and_a_gone_one_are_no_warning(api, change):
    start_worker(send_report, name="celery@one")
    consumed = ("slow",) if change == "other queue" else ("celery",)
    other = start_worker(close_books, name="celery@two", queues=consumed)
    if change == "stopped":
        kill(other)

    assert codes(api) == []
    assert queues(api) == "ok"


def test_task_that_only_workers_of_other_queues_have_is_a_warning(api):
    start_worker(send_report, name="celery@one", queues=("slow",))
    start_worker(close_books, name="celery@two")

    task = stored(task=REPORT, args='["2027-06"]')
    [warning] = api.get(address(task)).json()["warnings"]

    assert warning["code"] == "no_worker"
    assert "consumes the queue 'celery'" in warning["detail"]


def test_readiness_names_workers_of_one_queue_with_different_tasks(api):
    start_worker(send_report, name="celery@one")
    start_worker(close_books, name="celery@two", queues=("celery", "slow"))

    assert queues(api) == (
        f"celery@one consumes the queue 'celery', and does not have the tasks {BOOKS} of its "
        f"other workers. celery@two consumes the queue 'celery', and does not have the tasks "
        f"{REPORT} of its other workers."
    )


def test_messages_of_another_service_in_the_queue_are_a_warning(api):
    returned = {"returned_tasks": [["celery", "billing.charge"], ["slow", ""]]}
    start_worker(send_report, queues=("celery", "slow"), queue_state=lambda: returned)

    task = stored(task=REPORT, args='["2027-06"]')
    [warning] = api.get(address(task)).json()["warnings"]

    assert (warning["pointer"], warning["code"]) == ("/queue", "shared_queue")
    assert "(billing.charge)" in warning["detail"]
    assert "'celery' has messages that no task of its workers is for: billing.charge." in queues(
        api
    )
    assert "'slow' has messages that no task of its workers is for: unreadable messages" in queues(
        api
    )


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Declare the queue with other arguments, on another kind of broker."""

    def declare_queue(broker: str, **arguments: Any) -> None:
        for name in ("broker_url", "broker_write_url"):
            monkeypatch.setattr(app.conf, name, broker)
        monkeypatch.setitem(app.amqp.queues, "celery", Queue("celery", **arguments))

    return declare_queue


@pytest.mark.parametrize(
    ("broker", "arguments", "priority", "expected"),
    [
        ("amqp://", {}, 5, ["no_priorities"]),
        ("amqp://", {}, 0, []),
        ("amqp://", {}, None, []),
        ("amqp://", {"max_priority": 10}, 5, []),
        ("amqp://", {"queue_arguments": {"x-max-priority": 10}}, 5, []),
        ("filesystem://", {}, 5, ["no_priorities"]),
        ("redis://", {}, 5, []),
    ],
)
def test_priority_in_a_queue_without_priorities_is_a_warning(  # noqa: PLR0917 - a table
    api, declare, broker, arguments, priority, expected
):
    declare(broker, **arguments)
    start_worker(send_report)

    assert codes(api, priority=priority) == expected


def test_priority_is_a_warning_if_the_queue_exists_without_priorities(api, declare):
    declare("amqp://", max_priority=10)
    found = {"queue_mismatches": [NO_PRIORITIES.as_json()]}
    start_worker(send_report, queue_state=lambda: found)

    assert codes(api, priority=5) == ["no_priorities"]


def test_readiness_names_queues_with_other_arguments_once(api):
    found = {"queue_mismatches": [NO_PRIORITIES.as_json()]}
    for name in ("celery@one", "celery@two"):
        start_worker(send_report, name=name, queue_state=lambda: found)

    assert queues(api) == str(NO_PRIORITIES)


def test_warnings_of_a_list_take_the_same_queries_for_any_number_of_rows(
    api, django_assert_max_num_queries
):
    start_worker(send_report, name="celery@one")
    start_worker(close_books, name="celery@two")
    for number in range(5):
        stored(name=f"Report {number}", task=REPORT, args='["2027-06"]')

    with django_assert_max_num_queries(8):
        results = api.get(TASKS).json()["results"]

    assert [[each["code"] for each in row["warnings"]] for row in results] == [
        ["shared_queue"]
    ] * 5


def test_created_task_shows_the_warning_at_once(api):
    start_worker(send_report, name="celery@one")
    start_worker(name="celery@two")

    made = api.post(TASKS, heartbeat(task=REPORT, args=["2027-06"])).json()

    assert [each["code"] for each in made["warnings"]] == ["shared_queue"]
