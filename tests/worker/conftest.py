"""A worker that takes messages in the test's thread."""

from collections.abc import Callable
from typing import Any

import pytest
from celery import current_app
from celery.app.trace import build_tracer
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from scheduler_api.worker import process_recorder, signals

OF_BEAT = {"periodic_task_name": "Heartbeat"}


class Inline:
    """A recorder that executes jobs at once, in the transaction of the test."""

    def __init__(self) -> None:
        self.kept: list[Callable[[], bool]] = []
        self.is_away = False

    def execute(self, job: Callable[[], bool]) -> bool:
        if self.is_away:
            raise OperationalError("gone")
        return job()

    def execute_directly(self, statement: Callable[[], bool | None]) -> bool | None:
        return None if self.is_away else statement()

    def enqueue(self, job: Callable[[], bool]) -> None:
        job()

    def retry_later(self, job: Callable[[], bool]) -> None:
        self.kept.append(job)


@pytest.fixture
def recorder(monkeypatch: Any) -> Inline:
    # Celery closes the connection after each task.
    monkeypatch.setattr(connections[DEFAULT_DB_ALIAS], "close", lambda: None)
    inline = Inline()
    for module in (signals, process_recorder):
        monkeypatch.setattr(module, "recorder", lambda: inline)
    signals.ongoing.clear()
    return inline


class Body:
    """The function of the test's task, and the ids under which it has started."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.does: Callable[..., Any] = lambda *_, **__: None


@pytest.fixture
def body() -> Body:
    return Body()


@pytest.fixture
def deliver(recorder: Inline, body: Body) -> Any:
    """Deliver a message to a worker; return the state that Celery reports."""

    @current_app.task(name="tests.noted", bind=True, shared=False)
    def noted(task: Any, *args: Any, **kwargs: Any) -> Any:
        body.started.append(task.request.id)
        return body.does(task, *args, **kwargs)

    def deliver_message(run_id: str, *args: Any, kwargs: Any = None, **request: Any) -> str:
        headers = {
            **OF_BEAT,
            "delivery_info": {},
            "id": run_id,
            "task": noted.name,
            "hostname": "celery@here",
            **request,
        }
        trace = build_tracer(noted.name, noted, app=current_app)
        _, info, *_ = trace(run_id, list(args), kwargs or {}, headers)
        return info.state if info else "SUCCESS"

    yield deliver_message
    current_app.tasks.pop(noted.name)
