"""Messages that real brokers lose: each run starts, and none twice.

The tests backdate the runs in the ledger instead of waiting for minutes.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

from tests.faults.servers import RabbitMQ, ServerNotInstalled
from tests.journeys.service import START_SECONDS, Api, wait_for
from tests.journeys.test_workers import await_workers, celery, kill, logged
from tests.services import skip_or_fail

DEFINITIONS = "/api/v1/periodic-tasks/"
# Beat looks for lost messages from half a lease after its start on, six times per lease.
SHORT_LEASE = {"RUN_LEASE_SECONDS": "15"}
REPEAT_SECONDS = 120
RUNS = 12
BACKDATE = """
from datetime import timedelta
from django.db.models import F
from scheduler_api.models import Run
Run.objects.filter(state="queued").update(
    created_at=F("created_at") - timedelta(minutes=2),
    queued_at=F("queued_at") - timedelta(minutes=2),
)
"""
COUNT = """
from scheduler_api.models import Republication
print(Republication.objects.count())
"""


def enter(api: Api, count: int, *, task: str = "add", **columns: Any) -> list[str]:
    """Request `count` runs; return their ids once the broker has all of them."""
    body = {
        "name": f"{task} {count}",
        "task": f"project.tasks.{task}",
        "schedule": {"type": "interval", "every": 1, "period": "hours"},
        "enabled": False,
        **columns,
    }
    status, definition = api.call("POST", DEFINITIONS, body)
    assert status == 201, definition
    address = f"{DEFINITIONS}{definition['id']}/runs/"
    ids = [api.call("POST", address)[1]["id"] for _ in range(count)]
    wait_for(lambda: states(api, ids).keys() == {"queued"}, seconds=START_SECONDS, why=api.output)
    return ids


def run_of(api: Api, run_id: str) -> Any:
    return api.call("GET", f"/api/v1/runs/{run_id}/")[1]


def states(api: Api, ids: list[str]) -> dict[str, int]:
    """Return the number of runs in each state."""
    found: dict[str, int] = {}
    for run_id in ids:
        state = run_of(api, run_id)["state"]
        found[state] = found.get(state, 0) + 1
    return found


def each_has_run_once(api: Api, ids: list[str]) -> None:
    """Wait for the end of runs, and assert that each has started once."""
    wait_for(
        lambda: states(api, ids).keys() == {"succeeded"},
        seconds=REPEAT_SECONDS,
        why=lambda: logged(api),
    )
    assert {run_of(api, run_id)["attempts"] for run_id in ids} == {1}
    for run_id in ids:
        assert logged(api).count(f"project.tasks.add[{run_id}] succeeded") == 1


def worker(api: Api, *arguments: str) -> Any:
    return celery(api, "worker", "-n", "one@here", "-c", "1", *arguments)


def is_alive(workers: dict[str, Any]) -> bool:
    return any(each["is_alive"] for each in workers.values())


def test_runs_fetched_by_a_killed_worker_on_files_are_republished(tmp_path: Path) -> None:
    with Api(tmp_path, **SHORT_LEASE) as api, celery(api, "beat"):
        with worker(api) as process:
            await_workers(api, is_alive)
            # It stops before it starts a run, so that its fetched messages are lost with it.
            children = [int(pid) for pid in children_of(process)]
            for pid in children:
                os.kill(pid, signal.SIGSTOP)
            ids = enter(api, RUNS, args=[1, 2])
            messages = tmp_path / "data" / "broker" / "messages"
            wait_for(lambda: len(list(messages.glob("*"))) < RUNS, seconds=START_SECONDS)
            kill(process)
        left = len(list(messages.glob("*")))
        assert left < RUNS, "the killed worker had fetched some"
        api.manage("shell", "-c", BACKDATE)

        with worker(api):
            each_has_run_once(api, ids)
        assert "Publishing the messages of" in logged(api)


@pytest.fixture
def rabbitmq() -> Iterator[RabbitMQ]:
    """A RabbitMQ node of the test's own."""
    try:
        node = RabbitMQ()
    except ServerNotInstalled as reason:
        skip_or_fail(str(reason))
    try:
        node.start()
        yield node
    finally:
        node.close()


def test_runs_of_a_purged_rabbitmq_queue_are_republished(
    tmp_path: Path, rabbitmq: RabbitMQ, postgres_database: str
) -> None:
    servers = {"BROKER_URL": rabbitmq.url, "DATABASE_URL": postgres_database}
    with Api(tmp_path, **servers, **SHORT_LEASE) as api:
        with celery(api, "beat"):
            with worker(api):  # declares the queue
                await_workers(api, is_alive)
            ids = enter(api, RUNS, args=[1, 2])
            with Connection(rabbitmq.url) as connection:
                assert connection.default_channel.queue_purge("celery") == RUNS
            api.manage("shell", "-c", BACKDATE)

            with worker(api):
                each_has_run_once(api, ids)
        api.traces.messages.clear()


def test_runs_in_a_long_queue_are_not_republished(tmp_path: Path) -> None:
    with Api(tmp_path, **SHORT_LEASE) as api, celery(api, "beat"), worker(api):
        await_workers(api, is_alive)
        ids = enter_slow(api)
        api.manage("shell", "-c", BACKDATE)

        looked = len(ids)
        wait_for(
            lambda: states(api, ids).get("succeeded", 0) >= looked // 2,
            seconds=REPEAT_SECONDS,
            why=api.output,
        )

        assert api.manage("shell", "-c", COUNT).strip().endswith("0")
        assert "Publishing the messages of" not in logged(api)


def enter_slow(api: Api) -> list[str]:
    """Request runs that keep one worker busy for three quarters of a minute."""
    body = {
        "name": "slow",
        "task": "project.tasks.sleep",
        "args": [2],
        "schedule": {"type": "interval", "every": 1, "period": "hours"},
        "enabled": False,
    }
    _, definition = api.call("POST", DEFINITIONS, body)
    address = f"{DEFINITIONS}{definition['id']}/runs/"
    return [api.call("POST", address)[1]["id"] for _ in range(24)]


def children_of(process: subprocess.Popen[bytes]) -> list[str]:
    """Return the child processes of a worker, which run its tasks."""
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
