"""Queues that exist with other arguments: beat and worker go on, and say what is different."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue

from tests.journeys.conftest import delete_queues
from tests.journeys.ledger import await_run, hourly, run_now
from tests.journeys.service import Service, wait_for

# Beat looks again after 30 seconds, a worker after ten, and its row is written every 20 seconds.
MENDED_SECONDS = 120


@pytest.fixture
def broker(rabbitmq_url: str, queue: str) -> Iterator[Connection]:
    with Connection(rabbitmq_url) as connection:
        yield connection
    delete_queues(rabbitmq_url, queue)


@pytest.fixture
def service(tmp_path: Path, rabbitmq_url: str, queue: str) -> Service:
    """A service that has not started yet."""
    return Service(tmp_path, BROKER_URL=rabbitmq_url, QUEUES=queue)


def declare(broker: Connection, name: str, **arguments: Any) -> Any:
    queue = Queue(name, Exchange(name), name, **arguments)(broker.default_channel)
    queue.declare()
    return queue


def reported(service: Service) -> str:
    """Return what `/readyz` says of the queues."""
    return str(service.call("GET", "/readyz")[1]["queues"])


def await_report(service: Service, text: str) -> None:
    wait_for(
        lambda: text in reported(service),
        seconds=MENDED_SECONDS,
        why=lambda: f"{service.output()}\n{reported(service)}",
    )


@pytest.mark.parametrize(
    ("arguments", "difference"),
    [
        ({"max_priority": 10}, "x-max-priority is 10 there, and not set in our settings."),
        (
            {"queue_arguments": {"x-queue-type": "quorum"}},
            "x-queue-type is quorum there, and not set in our settings.",
        ),
    ],
)
def test_queue_with_other_arguments_is_used_and_reported_until_it_is_mended(
    service: Service, broker: Connection, queue: str, arguments: Any, difference: str
) -> None:
    other = declare(broker, queue, **arguments)
    with service:
        await_report(service, difference)
        run = run_now(service, hourly(service, "add", args=[2, 2]))
        assert await_run(service, run, "succeeded")["result"] == 4
        assert "Traceback" not in service.output()
        # Beat and the worker.
        assert service.output().count(difference) == 2

        other.delete()
        declare(broker, queue)

        wait_for(lambda: reported(service) == "ok", seconds=MENDED_SECONDS, why=service.output)
        run = run_now(service, hourly(service, "add", args=[3, 3]))
        assert await_run(service, run, "succeeded")["result"] == 6


def test_queue_of_another_program_alone_is_consumed_once_it_is_free(
    service: Service, broker: Connection, queue: str
) -> None:
    other = broker.clone()
    declare(other, queue, exclusive=True, durable=False)
    with service:
        await_report(service, "exclusive is true there, and false in our settings.")
        assert "Traceback" not in service.output()

        other.release()

        wait_for(lambda: reported(service) == "ok", seconds=MENDED_SECONDS, why=service.output)
        run = run_now(service, hourly(service, "add", args=[2, 2]))
        assert await_run(service, run, "succeeded")["result"] == 4
