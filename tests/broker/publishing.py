"""Helpers that publish runs and wait for their results."""

import threading
import time
from collections.abc import Callable
from typing import Any

from celery import Celery
from kombu import Queue

from scheduler_api.broker.outgoing import BatchResult, Outgoing, PublishFailure
from scheduler_api.broker.publisher import Publisher

WAIT_SECONDS = 20
WAKE = threading.Condition()


def wake() -> None:
    with WAKE:
        WAKE.notify_all()


def wait_until(condition: Callable[[], Any], *, timeout_seconds: float = WAIT_SECONDS) -> None:
    end = time.monotonic() + timeout_seconds
    with WAKE:
        while not condition():
            assert time.monotonic() < end, "it took too long"
            WAKE.wait(0.05)


def publish(
    publisher: Publisher, *runs: Outgoing, timeout_seconds: float = WAIT_SECONDS
) -> BatchResult:
    """Publish a batch, and return its result, which is the only one."""
    publisher.submit(7, runs)
    wait_until(lambda: not publisher.in_flight, timeout_seconds=timeout_seconds)
    [result] = publisher.take_results()
    assert result.batch_id == 7
    assert len(result.confirmed) + len(result.failed) == len(runs)
    return result


def failures(result: BatchResult) -> dict[str, PublishFailure]:
    return {run_id: failure for run_id, (failure, _) in result.failed.items()}


def received(app: Celery, name: str) -> list[Any]:
    """Take all messages of a queue."""
    with app.connection_for_read() as connection:
        bound = Queue(name)(connection.default_channel)
        messages = []
        while (message := bound.get(no_ack=True)) is not None:
            messages.append(message)
    return messages
