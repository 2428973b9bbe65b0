"""From a failed run in a real worker to a webhook request at a real server."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import service_on_servers
from tests.journeys.service import ROOT, Service, wait_for
from tests.journeys.test_runs import TASKS, await_run, hourly, run_now
from tests.ports import free_port
from tests.webhooks.receiver import Receiver

WEBHOOKS = "/api/v1/webhooks/"
DELIVERIES = "/api/v1/deliveries/"
PAGE = (ROOT / "docs" / "webhooks.md").read_text()
OPEN = {"OUTGOING_PRIVATE_ADDRESSES": "127.0.0.0/8", "HTTP_REQUEST_HOSTS": "127.0.0.1"}
SECONDS = 30


@pytest.fixture(scope="module")
def on_embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("webhooks"), **OPEN) as service:
        yield service


@pytest.fixture
def on_servers(tmp_path: Path, rabbitmq_url: str, postgres_url: str) -> Iterator[Service]:
    with service_on_servers(tmp_path, rabbitmq_url, postgres_url, **OPEN) as service:
        yield service


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def webhook_of(service: Service, url: str, **columns: Any) -> dict[str, Any]:
    status, answer = service.call("POST", WEBHOOKS, {"name": "Alerts", "url": url, **columns})
    assert status == 201, answer
    return dict(answer)


def ping(service: Service, webhook: dict[str, Any]) -> str:
    """Ping a webhook; return the path of the delivery."""
    status, answer = service.call("POST", f"{WEBHOOKS}{webhook['id']}/ping/")
    assert status == 202, answer
    return f"{DELIVERIES}{answer['id']}/"


def await_delivery(service: Service, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def has_arrived() -> bool:
        found.update(service.call("GET", path)[1])
        return found["state"] == "delivered"

    wait_for(has_arrived, seconds=SECONDS, why=lambda: f"{found}\n{service.output()}")
    return found


def a_failure_and_its_recovery_are_delivered(service: Service, receiver: Receiver) -> None:
    webhook = webhook_of(service, receiver.url, label="story=failure")
    task_id = hourly(service, "fail", kwargs={"message": "as asked"}, labels={"story": "failure"})
    failed = run_now(service, task_id)
    await_run(service, failed, "failed")
    wait_for(lambda: len(receiver.received) == 1, seconds=SECONDS, why=service.output)
    service.call("PATCH", f"{TASKS}{task_id}/", {"task": "project.tasks.heartbeat", "kwargs": {}})
    succeeded = run_now(service, task_id)
    wait_for(lambda: len(receiver.received) == 2, seconds=SECONDS, why=service.output)

    first, second = receiver.received
    assert (first.json["type"], first.json["data"]["id"]) == ("run.failed", failed)
    assert first.json["data"]["error"] == {"type": "RuntimeError", "message": "as asked"}
    assert (second.json["type"], second.json["data"]["id"]) == ("run.recovered", succeeded)
    assert first.id != second.id
    assert all(request.is_signed_with(webhook["secret"]) for request in receiver.received)
    page = service.call("GET", f"{DELIVERIES}?webhook={webhook['id']}")[1]["results"]
    for delivery in page:
        await_delivery(service, f"{DELIVERIES}{delivery['id']}/")
    assert [delivery["event_id"] for delivery in page] == [second.id, first.id]


def calls_http_on_a_schedule(service: Service, receiver: Receiver) -> None:
    status, answer = service.call(
        "POST",
        TASKS,
        {
            "name": f"Call {receiver.port}",
            "task": "scheduler_api.tasks.http_request",
            "kwargs": {"url": receiver.url, "body": {"month": 3}, "expected_status": 204},
            "schedule": {"type": "interval", "every": 1, "period": "hours"},
        },
    )
    assert status == 201, answer

    run = await_run(service, run_now(service, answer["id"]), "succeeded")

    assert run["result"]["status"] == 204
    [request] = receiver.received
    assert request.json == {"month": 3}


def test_failure_and_recovery_are_delivered_on_sqlite_and_files(
    on_embedded: Service, receiver: Receiver
) -> None:
    a_failure_and_its_recovery_are_delivered(on_embedded, receiver)


def test_http_request_task_calls_a_server(on_embedded: Service, receiver: Receiver) -> None:
    calls_http_on_a_schedule(on_embedded, receiver)


def test_failure_and_recovery_are_delivered_on_rabbitmq_and_postgresql(
    on_servers: Service, receiver: Receiver
) -> None:
    a_failure_and_its_recovery_are_delivered(on_servers, receiver)


# --- A sender that is killed ------------------------------------------------------------------


def senders_of(service: Service) -> list[int]:
    """Return the processes of a service that deliver webhooks."""
    mine = f"DATA_DIR={service.environment['DATA_DIR']}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_mine = mine in (folder / "environ").read_bytes().split(b"\0")
            if is_mine and b"deliver_webhooks" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def shell(service: Service, script: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", script],
        cwd=ROOT,
        env=service.environment,
        capture_output=True,
        check=True,
    )


@pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="it finds the process by its environment"
)
def test_delivery_of_a_killed_sender_is_repeated_with_the_same_id(
    on_embedded: Service, receiver: Receiver
) -> None:
    receiver.hold = hold = threading.Event()
    webhook = webhook_of(on_embedded, receiver.url)
    path = ping(on_embedded, webhook)
    wait_for(lambda: bool(receiver.received), seconds=SECONDS, why=on_embedded.output)
    [killed] = senders_of(on_embedded)

    os.kill(killed, signal.SIGKILL)
    hold.set()
    wait_for(
        lambda: bool(senders_of(on_embedded)) and killed not in senders_of(on_embedded),
        seconds=SECONDS,
        why=on_embedded.output,
    )
    # Instead of waiting for the end of the lease, one minute.
    shell(
        on_embedded,
        "from datetime import *; from scheduler_api.webhooks.models import Delivery; "
        "Delivery.objects.pending().update(next_attempt_at=datetime.now(UTC))",
    )

    assert await_delivery(on_embedded, path)["attempts"] == 2
    first, second = receiver.received
    assert first.id == second.id
    assert second.is_signed_with(webhook["secret"])


# --- What the page shows ----------------------------------------------------------------------


def test_receiver_of_the_page_verifies_and_deduplicates(
    on_embedded: Service, tmp_path: Path
) -> None:
    [example] = re.findall(r"<!-- receives -->\n```python\n(.+?)```", PAGE, re.DOTALL)
    port = free_port()
    webhook = webhook_of(on_embedded, f"http://127.0.0.1:{port}/")
    output = tmp_path / "received.log"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", example],
            env={**os.environ, "WEBHOOK_SECRET": webhook["secret"], "PORT": str(port)},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        path = ping(on_embedded, webhook)
        await_delivery(on_embedded, path)
        service_again = on_embedded.call("POST", f"{path}redeliver/")
        assert service_again[0] == 200
        await_delivery(on_embedded, path)
    finally:
        process.kill()
        process.wait()

    line = f"webhook.ping {{'webhook': {webhook['id']}}}"
    assert output.read_text().count(line) == 1, output.read_text()


def test_definition_of_the_page_is_accepted(on_embedded: Service) -> None:
    [example] = re.findall(r"<!-- asks -->\n```json\n(.+?)```", PAGE, re.DOTALL)
    definition = json.loads(example.replace("https://api.example.com", "http://127.0.0.1"))
    definition["kwargs"]["headers"] = {"Authorization": "Bearer x"}

    status, answer = on_embedded.call("POST", TASKS, definition)

    assert (status, answer["kwargs"]["headers"]) == (201, {"Authorization": "***"}), answer
