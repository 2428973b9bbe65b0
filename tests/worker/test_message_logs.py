"""Log lines of a worker about messages that it cannot run: they show no secret."""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
from celery import current_app, signals
from celery.worker.consumer import consumer
from celery.worker.consumer.consumer import Consumer
from kombu import Connection, Message, Queue

from scheduler_api.worker.message_logs import hide_headers

ARGUMENTS = {"user": "ann-smith", "password": "hunter2", "dsn": "amqp://u:hunter2@mq/"}
FOREIGN = {"kwargsrepr": "{'password': 'hunter2'}", "argsrepr": "('hunter2',)"}


@pytest.fixture(autouse=True)
def _hidden(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the functions as a starting worker does, and remove them."""
    for name in ("dump_body", "safe_repr"):
        monkeypatch.setattr(consumer, name, getattr(consumer, name))
    signals.worker_init.send(sender=None)
    yield
    consumer.logger.removeFilter(hide_headers)


@pytest.fixture
def worker() -> Any:
    """What the real methods of a Consumer need of one."""
    stand_in = Mock(connection_errors=(), event_dispatcher=None, app=current_app)
    stand_in._message_report = partial(Consumer._message_report, stand_in)
    return stand_in


def received(body: object, **options: Any) -> Message:
    """Send a message as another program does, and receive it."""
    with Connection("memory://") as connection:
        queue = Queue("reports")(connection.default_channel)
        queue.declare()
        connection.Producer().publish(body, routing_key="reports", **options)
        message: Message = queue.get(no_ack=True)
        message.reject_log_error = message.ack = lambda *_: None
        return message


CALLS: dict[str, Callable[[Any], None]] = {
    "unknown task": lambda worker: Consumer.on_unknown_task(
        worker,
        None,
        received([[], ARGUMENTS, {}], headers={"id": "1", "task": "gone", "x-token": "hunter2",
                                               **FOREIGN}),
        KeyError("gone"),
    ),
    "unknown task of protocol 1": lambda worker: Consumer.on_unknown_task(
        worker,
        {"id": "1", "task": "gone", "args": [], "kwargs": ARGUMENTS},
        received({"id": "1", "task": "gone", "args": [], "kwargs": ARGUMENTS}),
        KeyError("gone"),
    ),
    "invalid task": lambda worker: Consumer.on_invalid_task(
        worker, [[], ARGUMENTS, {}], received([[], ARGUMENTS, {}]), ValueError("no")
    ),
    "unknown message": lambda worker: Consumer.on_unknown_message(
        worker, {"kwargs": ARGUMENTS}, received({"kwargs": ARGUMENTS}, headers=FOREIGN)
    ),
    "no JSON": lambda worker: Consumer.on_decode_error(
        worker,
        received(b"hunter2 ann-smith", content_type="application/data",
                 content_encoding="binary", headers=FOREIGN),
        ValueError("no"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_report_of_a_message_shows_no_secret(
    worker: Any, caplog: pytest.LogCaptureFixture, name: str
):
    with caplog.at_level(logging.DEBUG):
        CALLS[name](worker)

    assert "***" in caplog.text
    assert "hunter2" not in caplog.text
    assert ("ann-smith" in caplog.text) is (name != "no JSON")
