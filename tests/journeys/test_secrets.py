"""A secret argument reaches the worker, and appears nowhere else.

tests/journeys/traces.py searches the traces of the service when it stops.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import delete_queues
from tests.journeys.service import Service, wait_for
from tests.journeys.test_define_and_run import TASKS
from tests.journeys.traces import EVENTS, OWN_HEADER

RUN_SECONDS = 20
# The most verbose logs.
VERBOSE = {"LOG_LEVEL": "DEBUG", "DEBUG": "true"}


@pytest.fixture
def unread(queue: str) -> str:
    """The name of a queue that no worker reads."""
    return f"{queue}-unread"


@pytest.fixture
def on_files(tmp_path: Path, queue: str, unread: str) -> Service:
    return Service(tmp_path, QUEUES=f"{queue},{unread}", **VERBOSE)


@pytest.fixture
def on_servers(
    tmp_path: Path, queue: str, unread: str, rabbitmq_url: str, postgres_database: str
) -> Iterator[Service]:
    yield Service(
        tmp_path,
        BROKER_URL=rabbitmq_url,
        DATABASE_URL=postgres_database,
        QUEUES=f"{queue},{unread}",
        LOG_FORMAT="json",
        **VERBOSE,
    )
    delete_queues(rabbitmq_url, queue, unread)


@pytest.fixture(params=["on_files", "on_servers"])
def service(request: pytest.FixtureRequest) -> Service:
    """A service that has not started yet."""
    ready: Service = request.getfixturevalue(request.param)
    return ready


def test_secret_reaches_the_worker_and_nothing_else(
    service: Service, queue: str, unread: str, canary: str
) -> None:
    answers: list[tuple[int, Any]] = []

    def call(method: str, path: str, body: object = None) -> Any:
        answers.append(service.call(method, path, body))
        return answers[-1][1]

    def has_arrived() -> bool:
        service.traces.collect(unread, EVENTS)
        events = str(service.traces.bodies(EVENTS))
        is_reported = f"['{queue}']" in events and "task-succeeded" in events
        return (
            fingerprint in service.output() and is_reported and bool(service.traces.bodies(unread))
        )

    fingerprint = sha256(canary.encode()).hexdigest()
    body = {
        "task": "project.tasks.sign_in",
        "schedule": {"type": "interval", "every": 1, "period": "seconds"},
        "args": [queue],  # identifies our events among those of other services
        "kwargs": {"password": canary},
        "headers": {OWN_HEADER: canary},
    }
    with service:
        service.traces.keep_events()

        task = call("POST", TASKS, {**body, "name": "Sign in"})
        call("POST", TASKS, {**body, "name": "Sign in where nobody reads", "queue": unread})
        wait_for(has_arrived, seconds=RUN_SECONDS, why=service.output)

        address = f"{TASKS}{task['id']}/"
        call("GET", address)
        call("GET", TASKS)
        call("PUT", address, task)
        call("PATCH", address, {"kwargs": {"password": ["wrong", canary]}})
        call("DELETE", address)
        call("GET", "/api/v1/audit-entries/")

    assert [status for status, _ in answers] == [201, 201, 200, 200, 200, 400, 204, 200]
    assert "***" in json.dumps(answers)
    assert canary not in json.dumps(answers)
    assert service.traces.bodies(unread)[0][:2] == [[queue], {"password": canary}]


def test_worker_logs_no_secret_of_a_task_that_it_does_not_know(
    tmp_path: Path, queue: str, canary: str
) -> None:
    service = Service(tmp_path, QUEUES=queue, UNREGISTERED_TASKS="allow", **VERBOSE)
    body = {
        "name": "Gone",
        "task": "elsewhere.gone",
        "schedule": {"type": "interval", "every": 1, "period": "seconds"},
        "kwargs": {"password": canary, "broker": f"amqp://ann:{canary}@mq.example.com/"},
    }
    with service:
        status, task = service.call("POST", TASKS, body)
        assert status == 201, task
        wait_for(lambda: "task 'elsewhere.gone'" in service.output(), seconds=RUN_SECONDS,
                 why=service.output)  # fmt: skip
        _, shown = service.call("GET", f"{TASKS}{task['id']}/")

    assert shown["kwargs"] == {"password": "***", "broker": "amqp://ann:***@mq.example.com/"}
    assert canary not in service.output()
