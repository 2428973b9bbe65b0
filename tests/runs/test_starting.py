"""A worker starts a run once, however often its message comes."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from celery import current_app
from celery.app.trace import build_tracer
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from scheduler_api.runs import starting
from scheduler_api.runs.models import Run

pytestmark = pytest.mark.django_db

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
OF_BEAT = {"periodic_task_name": "Heartbeat"}


@pytest.fixture
def started() -> list[str]:
    """The ids under which the task `noted` has started."""
    return []


@pytest.fixture
def deliver(started: list[str], monkeypatch: Any) -> Any:
    """Let a worker take a message, as Celery does."""
    # Celery closes it after each task; here it has a transaction that is to be rolled back.
    monkeypatch.setattr(connections[DEFAULT_DB_ALIAS], "close", lambda: None)

    @current_app.task(name="tests.noted", bind=True, shared=False)
    def noted(task: Any) -> None:
        started.append(task.request.id)

    def deliver_it(run_id: str, **request: Any) -> str:
        headers = {**OF_BEAT, "delivery_info": {}, "id": run_id, "task": noted.name, **request}
        trace = build_tracer(noted.name, noted, app=current_app)
        _, info, *_ = trace(run_id, [], {}, headers)
        return info.state if info else "SUCCESS"

    yield deliver_it
    current_app.tasks.pop(noted.name)


def run(**columns: Any) -> str:
    values = {
        "id": uuid4(),
        "periodic_task_id": 1,
        "periodic_task_name": "Heartbeat",
        "task": "tests.noted",
        "due_at": NOON,
        "created_at": NOON,
        "state": "queued",
    }
    return str(Run.objects.create(**{**values, **columns}).pk)


@pytest.mark.parametrize("state", ["pending", "queued"])
def test_a_message_that_comes_twice_starts_its_run_once(deliver, started, state):
    run_id = run(state=state)

    assert deliver(run_id) == "SUCCESS"
    assert deliver(run_id) == "IGNORED"

    assert started == [run_id]
    assert Run.objects.get().started_at is not None


@pytest.mark.parametrize("state", ["cancelled", "unroutable", "lost"])
def test_a_run_that_has_ended_does_not_start(deliver, started, state):
    assert deliver(run(state=state)) == "IGNORED"
    assert started == []


@pytest.mark.parametrize("again", [{"retries": 1}, {"delivery_info": {"redelivered": True}}])
def test_a_retry_and_what_the_broker_delivers_again_may_start_again(deliver, started, again):
    run_id = run()
    deliver(run_id)

    assert deliver(run_id, **again) == "SUCCESS"

    assert started == [run_id, run_id]


@pytest.mark.parametrize(
    "run_id", ["889b2d80-7191-435c-92eb-809ea794cdd2", "an-id-of-somebody-else"]
)
def test_what_the_ledger_does_not_know_runs(deliver, started, run_id):
    assert deliver(run_id) == "SUCCESS"
    assert started == [run_id]


def test_what_is_not_of_beat_is_left_alone(deliver, started):
    run_id = run(state="cancelled")

    assert deliver(run_id, periodic_task_name=None) == "SUCCESS"

    assert started == [run_id]
    assert Run.objects.get().started_at is None


def test_without_a_database_a_run_starts(deliver, started, monkeypatch, caplog):
    run_id = run()
    monkeypatch.setattr(starting.Run.objects, "filter", lambda **_: Gone())

    assert deliver(run_id) == "SUCCESS"

    assert started == [run_id]
    assert "without asking the ledger: gone" in caplog.text


class Gone:
    """Rows in a database that does not answer."""

    def filter(self, **_: Any) -> None:
        raise OperationalError("gone")
