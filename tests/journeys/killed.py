"""Stories of runs whose process is killed, alone or with its whole worker."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tests.journeys.ledger import (
    CONCURRENCY,
    RUN_SECONDS,
    await_run,
    cancel,
    each_second,
    ended_runs_of,
    hourly,
    overlapping_pairs,
    pause,
    run_now,
    runs_of,
)
from tests.journeys.service import Service, wait_for

ENDLESS = {"seconds": 600}
NO_SIGN = "Its worker has not reported for"


def processes_that_are_killed_while_idle_are_replaced(service: Service) -> None:
    for _ in range(2 * CONCURRENCY):
        _, [child, *_] = worker_of(service)
        kill([child])
        wait_for(lambda child=child: is_replaced(service, child), seconds=RUN_SECONDS)

    task_id = hourly(service, "add", args=[1, 1])
    for run_id in [run_now(service, task_id) for _ in range(2 * CONCURRENCY)]:
        await_run(service, run_id, "succeeded")


def is_replaced(service: Service, killed: int) -> bool:
    _, children = worker_of(service)
    return killed not in children and len(children) == CONCURRENCY


def processes_that_are_killed_lose_their_runs(service: Service) -> None:
    task_id = hourly(service, "sleep", kwargs=ENDLESS)
    running = [run_now(service, task_id) for _ in range(CONCURRENCY)]
    for run_id in running:
        assert await_run(service, run_id, "running")["finished_at"] is None

    _, children = worker_of(service)
    kill(children)

    for run_id in running:
        run = await_run(service, run_id, "lost")
        assert run["error"]["type"] == "WorkerLostError"
        assert "ended unexpectedly" in run["reason"]
    later = run_now(service, hourly(service, "add", args=[1, 1]))
    assert await_run(service, later, "succeeded")["result"] == 2, (
        "new processes have replaced them"
    )


def a_task_that_kills_its_process_does_not_loop(service: Service) -> None:
    policies = {"max_attempts": 3, "retry_backoff_seconds": 0}
    task_id = hourly(service, "tests.journeys.tasks.kill_its_process", **policies)

    run = await_run(service, run_now(service, task_id), "lost")

    assert (run["attempts"], run["error"]["type"]) == (3, "WorkerLostError")
    later = run_now(service, hourly(service, "add", args=[1, 1]))
    assert await_run(service, later, "succeeded")["result"] == 2, "a new process has replaced it"


def a_worker_that_is_killed_loses_its_runs_and_frees_the_next(service: Service) -> None:
    blocking = {
        overlap: each_second(service, "sleep", kwargs=ENDLESS, overlap=overlap)
        for overlap in ("skip", "buffer_one")
    }
    again = {"max_attempts": 2, "retry_backoff_seconds": 0}
    late = run_now(
        service, hourly(service, "tests.journeys.tasks.sleep_and_acknowledge", args=[5], **again)
    )
    first = {overlap: the_running(service, task_id) for overlap, task_id in blocking.items()}
    await_run(service, late, "running")
    wait_for(
        lambda: len(runs_of(service, blocking["buffer_one"], "pending")) == 1, seconds=RUN_SECONDS
    )

    main, children = worker_of(service)
    kill([*main, *children])

    for overlap, run_id in first.items():
        run = await_run(service, run_id, "lost")
        assert (run["attempts"], run["error"]) == (1, None)
        assert run["reason"].startswith(NO_SIGN)
        assert the_running(service, blocking[overlap]) != run_id, (
            "the lost run no longer blocks the next"
        )
    # Either the broker redelivers the unacknowledged message, or beat republishes it.
    assert await_run(service, late, "succeeded")["attempts"] == 2

    for task_id in blocking.values():
        pause(service, task_id)
        for each in runs_of(service, task_id, "pending,queued,running"):
            cancel(service, each["id"])
        ended = ended_runs_of(service, task_id)
        assert not overlapping_pairs(ended)
        assert {each.state for each in ended} == {"lost", "skipped", "cancelled"}


def the_running(service: Service, task_id: int) -> str:
    """Return the id of the only running run, once there is one."""
    wait_for(
        lambda: bool(runs_of(service, task_id, "running")),
        seconds=RUN_SECONDS,
        why=lambda: f"{service.output()}\n{runs_of(service, task_id)}",
    )
    [run] = runs_of(service, task_id, "running")
    return str(run["id"])


def worker_of(service: Service) -> tuple[list[int], list[int]]:
    """Return the main process of the worker of a service, and its children, which run tasks."""
    mine = f"DATA_DIR={service.environment['DATA_DIR']}".encode()
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mine not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            if b"worker" in (folder / "cmdline").read_bytes().split(b"\0"):
                words = (folder / "stat").read_text().rpartition(") ")[2].split()
                parents[int(folder.name)] = int(words[1])
    children = [pid for pid, parent in parents.items() if parent in parents]
    return [pid for pid in parents if pid not in children], children


def kill(processes: Iterable[int]) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):  # the kernel has ended it with its parent
            os.kill(pid, signal.SIGKILL)
