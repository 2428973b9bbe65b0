"""A secret among the arguments reaches the worker, and is found nowhere else."""

import json
import uuid
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.journeys.service import Service, wait_for
from tests.journeys.test_define_and_run import TASKS

RUN_SECONDS = 20


@pytest.fixture
def talkative(tmp_path: Path) -> Iterator[Service]:
    """Run it so that it tells all it can."""
    with Service(tmp_path, LOG_LEVEL="DEBUG") as service:
        yield service


@pytest.fixture(params=["talkative", "on_servers"])
def service(request: pytest.FixtureRequest) -> Service:
    running: Service = request.getfixturevalue(request.param)
    return running


def test_a_secret_arrives_and_is_not_shown(service: Service) -> None:
    canary = f"canary-{uuid.uuid4().hex}"
    answers = []

    def call(method: str, path: str, body: object = None) -> object:
        answers.append(service.call(method, path, body))
        return answers[-1][1]

    status, task = service.call(
        "POST",
        TASKS,
        {
            "name": "Sign in",
            "task": "project.tasks.sign_in",
            "schedule": {"type": "interval", "every": 1, "period": "seconds"},
            "args": ["ann"],
            "kwargs": {"password": canary},
        },
    )
    assert status == 201
    answers.append((status, task))

    arrived = f"Signing in ann with a password of SHA-256 {sha256(canary.encode()).hexdigest()}"
    wait_for(lambda: arrived in service.output(), seconds=RUN_SECONDS, why=service.output)

    address = f"{TASKS}{task['id']}/"
    call("GET", address)
    call("GET", TASKS)
    call("PUT", address, task)
    call("PATCH", address, {"kwargs": {"password": ["wrong", canary]}})
    call("DELETE", address)
    call("GET", "/api/v1/audit-entries/")

    assert [status for status, _ in answers] == [201, 200, 200, 200, 400, 204, 200]
    assert "***" in json.dumps(answers)
    assert canary not in json.dumps(answers)
    assert canary not in service.output()
