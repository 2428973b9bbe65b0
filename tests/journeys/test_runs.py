"""What becomes of runs in real workers, as the API tells it."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.journeys.service import Service, wait_for

TASKS = "/api/v1/periodic-tasks/"
RUN_SECONDS = 30
WORKER_CONCURRENCY = 2  # the default


def once(service: Service, task: str, **columns: Any) -> int:
    """Have a task run once, at once; return the id of its periodic task."""
    moment = datetime.now(UTC) + timedelta(seconds=1)
    definition = {
        "name": f"{task} {moment.isoformat()}",
        "task": f"project.tasks.{task}",
        "schedule": {"type": "clocked", "clocked_time": moment.isoformat()},
        **columns,
    }
    status, answer = service.call("POST", TASKS, definition)
    assert status == 201, answer
    return int(answer["id"])


def hourly(service: Service, task: str, **columns: Any) -> int:
    """Store a periodic task whose slots are far apart; return its id."""
    definition = {
        "name": f"{task} {uuid4()}",
        "task": f"project.tasks.{task}",
        "schedule": {"type": "interval", "every": 1, "period": "hours"},
        **columns,
    }
    status, answer = service.call("POST", TASKS, definition)
    assert status == 201, answer
    return int(answer["id"])


def run_now(service: Service, task_id: int, **body: Any) -> str:
    """Have a periodic task run now; return the id of the run."""
    status, answer = service.call("POST", f"{TASKS}{task_id}/runs/", body or None)
    assert status == 202, answer
    return str(answer["id"])


def await_run(service: Service, run_id: str, state: str) -> dict[str, Any]:
    """Return a run when it stands so."""
    found: dict[str, Any] = {}

    def stands_so() -> bool:
        found.update(service.call("GET", f"/api/v1/runs/{run_id}/")[1])
        return bool(found["state"] == state)

    wait_for(stands_so, seconds=RUN_SECONDS, why=lambda: f"{found}\n{service.output()}")
    return found


def runs_of(service: Service, task_id: int) -> list[Any]:
    """Return the runs of a periodic task."""
    return list(service.call("GET", f"{TASKS}{task_id}/runs/")[1]["results"])


def await_state(service: Service, task_id: int, state: str) -> dict[str, Any]:
    """Return the only run of a periodic task when it stands so."""
    wait_for(lambda: bool(runs_of(service, task_id)), seconds=RUN_SECONDS, why=service.output)
    [run] = runs_of(service, task_id)
    return await_run(service, run["id"], state)


def a_run_succeeds(service: Service) -> None:
    run = await_state(service, once(service, "add", args=[40], kwargs={"y": 2}), "succeeded")

    assert (run["result"], run["error"], run["attempts"]) == (42, None, 1)
    assert (run["args"], run["kwargs"]) == ([40], {"y": 2})
    assert run["created_at"] <= run["started_at"] <= run["finished_at"]
    assert run["worker"].startswith("celery@")
    assert 0 <= run["duration_seconds"] < RUN_SECONDS


def a_run_fails(service: Service) -> None:
    run = await_state(service, once(service, "fail", kwargs={"message": "as asked"}), "failed")

    assert (run["error"]["type"], run["error"]["message"]) == ("RuntimeError", "as asked")
    assert "in fail" in run["error"]["traceback"]
    assert run["result"] is None


def a_run_is_tried_again_and_succeeds(service: Service) -> None:
    task_id = once(service, "fail_at_first", kwargs={"times": 2})

    run = await_state(service, task_id, "succeeded")

    assert run["attempts"] == 3
    assert run["result"] == "succeeded after 2 failures"
    assert len(runs_of(service, task_id)) == 1


def a_run_does_not_wait_for_its_slot(service: Service) -> None:
    task_id = hourly(service, "add", args=[1], kwargs={"y": 1}, enabled=False)

    run_id = run_now(service, task_id, kwargs={"y": 41})

    run = await_run(service, run_id, "succeeded")
    assert (run["trigger"], run["slot_at"], run["result"]) == ("manual", None, 42)
    again = service.call("POST", f"/api/v1/runs/{run_id}/retry/")[1]["id"]
    assert await_run(service, again, "succeeded")["result"] == 42
    _, task = service.call("GET", f"{TASKS}{task_id}/")
    assert (task["last_run_at"], task["total_run_count"]) == (None, 0)


def runs_are_cancelled_before_they_start_and_while_they_run(service: Service) -> None:
    task_id = hourly(service, "sleep", kwargs={"seconds": 600})
    running = [run_now(service, task_id) for _ in range(WORKER_CONCURRENCY)]
    for run_id in running:
        await_run(service, run_id, "running")
    waiting = run_now(service, task_id)
    await_run(service, waiting, "queued")

    status, answer = service.call("POST", f"/api/v1/runs/{waiting}/cancel/")
    assert (status, answer["state"]) == (200, "cancelled")
    for run_id in running:
        status, answer = service.call("POST", f"/api/v1/runs/{run_id}/cancel/")
        assert (status, answer["state"]) == (200, "running"), answer

    for run_id in running:
        run = await_run(service, run_id, "cancelled")
        assert run["reason"] == "It was cancelled while it ran, and its process was ended."
    later = run_now(service, hourly(service, "add", args=[2, 2]))
    assert await_run(service, later, "succeeded")["result"] == 4
    assert await_run(service, waiting, "cancelled")["attempts"] == 0
    assert service.call("POST", f"/api/v1/runs/{waiting}/cancel/")[0] == 409


def a_process_that_is_killed_loses_its_run(service: Service) -> None:
    task_id = hourly(service, "sleep", kwargs={"seconds": 600})
    # One for each process: an idle one that is killed keeps a lock of Celery's pool.
    running = [run_now(service, task_id) for _ in range(WORKER_CONCURRENCY)]
    for run_id in running:
        assert await_run(service, run_id, "running")["finished_at"] is None

    for child in children_of_worker(service):
        os.kill(child, signal.SIGKILL)

    for run_id in running:
        run = await_run(service, run_id, "lost")
        assert run["error"]["type"] == "WorkerLostError"
        assert "gone" in run["reason"]
    later = run_now(service, hourly(service, "add", args=[1, 1]))
    assert await_run(service, later, "succeeded")["result"] == 2, "others have taken their place"


def children_of_worker(service: Service) -> list[int]:
    """Return the processes that run the tasks of a service."""
    mine = f"DATA_DIR={service.environment['DATA_DIR']}".encode()
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mine not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            if b"worker" in (folder / "cmdline").read_bytes().split(b"\0"):
                words = (folder / "stat").read_text().rpartition(") ")[2].split()
                parents[int(folder.name)] = int(words[1])
    return [pid for pid, parent in parents.items() if parent in parents]


STORIES = [
    a_run_succeeds,
    a_run_fails,
    a_run_is_tried_again_and_succeeds,
    a_run_does_not_wait_for_its_slot,
    runs_are_cancelled_before_they_start_and_while_they_run,
]
if Path("/proc/self/environ").exists():  # which it finds processes by
    STORIES.append(a_process_that_is_killed_loses_its_run)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_on_what_it_brings_along(embedded: Service, story: Callable[[Service], None]) -> None:
    story(embedded)


def test_on_rabbitmq_and_postgresql(on_servers: Service) -> None:
    for story in STORIES:
        story(on_servers)
