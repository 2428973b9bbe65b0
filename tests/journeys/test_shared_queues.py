"""Messages of another service, whose stock worker knows nothing of ours: none is lost."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.journeys.conftest import delete_queues, new_queue
from tests.journeys.ledger import await_run, hourly, run_now
from tests.journeys.service import ROOT, START_SECONDS, STOP_SECONDS, Api, Service, wait_for
from tests.journeys.test_workers import celery, logged

MESSAGES = 30
RETURN_SECONDS = 120  # a message that our worker got several times is held longer
HELD = "Messages of the task 'billing.charge', which this worker does not have, arrive"


class Foreign:
    """The other service: its settings, its worker and its messages."""

    def __init__(self, service: Service, folder: Path, queue: str) -> None:
        self.queue = queue
        self.done_file = folder / "done"
        self.log_file = folder / "foreign.log"
        self.settings = broker_settings(service, queue)
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            "FOREIGN_BROKER": json.dumps(self.settings),
            "FOREIGN_DONE": str(self.done_file),
        }

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Run its worker."""
        command = ["-m", "celery", "-A", "tests.journeys.foreign", "worker", "-l", "INFO"]
        with self.log_file.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, *command, "-c", "1", "-n", f"foreign@{self.queue}"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            wait_for(lambda: " ready." in self.log(), seconds=START_SECONDS, why=self.log)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)

    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    def charge(self, numbers: range) -> None:
        """Send its messages."""
        app = Celery("foreign", set_as_current=False)
        app.conf.update(self.settings)
        for number in numbers:
            app.send_task("billing.charge", [number])
        app.close()

    def done(self) -> list[int]:
        """Return the numbers for which its task has run."""
        if not self.done_file.exists():
            return []
        return sorted(int(line) for line in self.done_file.read_text().splitlines())

    def await_done(self, numbers: range) -> None:
        """Wait until its task has run for these numbers, and assert that it ran once for each."""
        wait_for(lambda: len(self.done()) >= len(numbers), seconds=RETURN_SECONDS, why=self.log)
        assert self.done() == list(numbers)


def broker_settings(service: Service, queue: str) -> dict[str, Any]:
    """Return the settings with which another program uses the broker of a service."""
    settings = {"task_default_queue": queue}
    if url := service.environment.get("BROKER_URL"):
        return {**settings, "broker_url": url}
    folder = service.traces.data_dir / "broker"
    options = {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "exchanges"),
    }
    return {
        **settings,
        "broker_url": "filesystem://",
        "broker_transport_options": options,
        "worker_pool": "solo",
    }


@pytest.fixture
def queues() -> list[str]:
    """The queue of our worker, and the one of the other service."""
    return [new_queue(), new_queue()]


@pytest.fixture(params=["files", "rabbitmq", "redis"])
def broker(request: pytest.FixtureRequest, queues: list[str]) -> Iterator[dict[str, str]]:
    """The settings of a service on each kind of broker, whose callers may use both queues."""
    given = {"QUEUES": ",".join(queues), "UNREGISTERED_TASKS": "allow"}
    if request.param == "files":
        yield given
    else:
        url = request.getfixturevalue(f"{request.param}_url")
        yield {**given, "BROKER_URL": url}
        delete_queues(url, *queues)


@pytest.fixture
def service(broker: dict[str, str], tmp_path: Path) -> Service:
    """A service that has not started yet."""
    return Service(tmp_path, **broker)


def test_worker_leaves_the_queue_of_another_service_alone(
    service: Service, queues: list[str], tmp_path: Path
) -> None:
    _, theirs = queues
    with service:
        foreign = Foreign(service, tmp_path, theirs)
        foreign.charge(range(MESSAGES))
        later = run_now(
            service,
            hourly(service, "billing.charge", args=[MESSAGES], queue=theirs),
        )
        assert await_run(
            service, run_now(service, hourly(service, "add", args=[2, 2])), "succeeded"
        )

        with foreign.worker():
            foreign.await_done(range(MESSAGES + 1))

        await_run(service, later, "queued")
        assert "billing.charge" not in service.output()


def test_worker_gives_messages_of_another_service_in_its_own_queue_back(
    service: Service, queues: list[str], tmp_path: Path
) -> None:
    ours, _ = queues
    with service:
        foreign = Foreign(service, tmp_path, ours)
        foreign.charge(range(MESSAGES))
        wait_for(lambda: HELD in service.output(), seconds=START_SECONDS, why=service.output)
        run = run_now(service, hourly(service, "add", args=[2, 2]))
        assert await_run(service, run, "succeeded")["result"] == 4, "its own work goes on"

        with foreign.worker():
            foreign.await_done(range(MESSAGES))


def test_worker_that_stops_gives_all_messages_back(
    broker: dict[str, str], queues: list[str], tmp_path: Path
) -> None:
    ours, _ = queues
    with Api(tmp_path, **{**broker, "QUEUES": ours}) as api:
        foreign = Foreign(api, tmp_path, ours)
        with celery(api, "worker", "-n", f"ours@{ours}"):
            foreign.charge(range(MESSAGES))
            wait_for(lambda: HELD in logged(api), seconds=START_SECONDS, why=api.output)

        with foreign.worker():
            foreign.await_done(range(MESSAGES))


def test_run_of_a_task_that_its_worker_does_not_have_stays_queued_with_a_reason(
    service: Service, queues: list[str], tmp_path: Path
) -> None:
    ours, _ = queues
    with service:
        foreign = Foreign(service, tmp_path, ours)
        run = run_now(service, hourly(service, "billing.charge", args=[0]))
        wait_for(
            lambda: (
                "does not have the task 'billing.charge'"
                in service.call("GET", f"/api/v1/runs/{run}/")[1]["reason"]
            ),
            seconds=START_SECONDS,
            why=service.output,
        )
        await_run(service, run, "queued")

        with foreign.worker():
            foreign.await_done(range(1))
