"""Every way in which a task or its message ends, in real workers: the run ends so at once."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from kombu import Message, Producer

from tests.journeys.conftest import delete_queues, new_database, new_queue, new_redis_user
from tests.journeys.ledger import (
    RUN_SECONDS,
    await_run,
    each_second,
    ended_runs_of,
    hourly,
    pause,
    run_now,
    runs_of,
)
from tests.journeys.service import Service, wait_for
from tests.journeys.test_runs import taken_from

pytestmark = pytest.mark.timeout(600)  # its deadlines are shorter

SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "tests.journeys.ending_settings",
    "WORKER_CONCURRENCY": "3",
}


@pytest.fixture(scope="module", params=["embedded", "on_servers", "on_redis"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One service of each kind, for all ends."""
    queues = [new_queue(), f"{new_queue()}-unread"]
    given = SETTINGS | {"QUEUES": ",".join(queues)}
    with ExitStack() as stack:
        if request.param == "on_servers":
            broker_url = request.getfixturevalue("rabbitmq_url")
            stack.callback(delete_queues, broker_url, *queues)
            database = new_database(request.getfixturevalue("postgres_url"))
            given |= {"BROKER_URL": broker_url, "DATABASE_URL": stack.enter_context(database)}
        elif request.param == "on_redis":
            user = new_redis_user(request.getfixturevalue("redis_url"))
            given |= {"BROKER_URL": stack.enter_context(user)}
        service = Service(tmp_path_factory.mktemp(request.param), **given)
        yield stack.enter_context(service)


def run_of(service: Service, task: str, **columns: Any) -> str:
    """Run a task of `ending` now; return the id of the run."""
    name = task if "." in task else f"tests.journeys.ending.{task}"
    return run_now(service, hourly(service, name, **columns))


# The task, and the state, the result or the class of the error, and the number of attempts.
ENDS: dict[str, tuple[str, dict[str, Any], str, Any, int]] = {
    "return": ("add", {"args": [1, 2]}, "succeeded", 3, 1),
    "return half a surrogate": ("half_a_surrogate", {}, "succeeded", "\\ud800", 1),
    "exception": ("fail", {}, "failed", "ValueError", 1),
    "exception that cannot be pickled": ("raise_unpicklable", {}, "failed", "Unpicklable", 1),
    "exception without a text": ("raise_mute", {}, "failed", "Mute", 1),
    "MemoryError": ("run_out_of_memory", {}, "failed", "MemoryError", 1),
    "SystemExit": ("exit_process", {}, "failed", "SystemExit", 1),
    "KeyboardInterrupt": ("interrupt", {}, "failed", "KeyboardInterrupt", 1),
    "WorkerShutdown": ("shut_down", {}, "failed", "WorkerShutdown", 1),
    "Ignore": ("ignore", {}, "succeeded", None, 1),
    "Reject": ("reject", {}, "failed", "Reject", 1),
    "Reject after the acknowledgement": ("reject_too_late", {}, "failed", "Reject", 1),
    "Reject with requeue": ("put_back", {}, "succeeded", "done", 2),
    "Retry": ("retry_at_once", {}, "succeeded", 3, 4),
    "Retry too often": ("retry_in_vain", {}, "failed", "MaxRetriesExceededError", 2),
    "autoretry_for": ("fail_again", {}, "failed", "ValueError", 2),
    "own chain": ("extend_its_chain", {}, "succeeded", "its own", 1),
    "replace": ("pass_on", {"args": ["task"]}, "succeeded", 3, 1),
    "replace that fails": ("pass_on", {"args": ["failing task"]}, "failed", "ValueError", 1),
    "chain": ("pass_on", {"args": ["chain"]}, "succeeded", 6, 1),
    "chain that fails": ("pass_on", {"args": ["failing chain"]}, "failed", "ValueError", 1),
    "group": ("pass_on", {"args": ["group"]}, "succeeded", [3, 7], 1),
    "group that fails": ("pass_on", {"args": ["failing group"]}, "failed", "ValueError", 1),
    "chord": ("pass_on", {"args": ["chord"]}, "succeeded", 10, 1),
    "chord that fails": ("pass_on", {"args": ["failing chord"]}, "failed", "ValueError", 1),
    "nested": ("pass_on", {"args": ["nested"]}, "succeeded", 7, 1),
}


END_A_PROCESS = {"SystemExit", "KeyboardInterrupt", "WorkerShutdown"}


@pytest.fixture(scope="module")
def started(running: Service) -> dict[str, str]:
    """Start all runs, last the runs that end a process; return their ids by name.

    On files, a worker that shuts down may lose a message that it holds: a part of another run.
    """
    ids: dict[str, str] = {}
    for is_last in (False, True):
        for name, (task, columns, *_) in ENDS.items():
            if (name in END_A_PROCESS) is is_last:
                ids[name] = run_of(running, task, **columns)
        for name in ids.keys() - END_A_PROCESS:
            await_run(running, ids[name], ENDS[name][2])
    return ids


@pytest.mark.parametrize("name", ENDS)
def test_run_ends_as_its_task_does(running: Service, started: dict[str, str], name: str) -> None:
    _, _, state, outcome, attempts = ENDS[name]

    run = await_run(running, started[name], state)

    found = run["error"]["type"] if run["error"] else run["result"]
    assert (found, run["attempts"]) == (outcome, attempts)


# --- Messages ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unread(running: Service) -> str:
    """Return a queue from which no worker takes messages."""
    return running.environment["QUEUES"].split(",")[1]


def queued_in(service: Service, queue: str) -> tuple[str, Message]:
    """Enter a run into a queue that no worker reads; return its id, and its message."""
    run_id = run_of(service, "add", args=[1, 2], queue=queue)
    await_run(service, run_id, "queued")
    with service.traces.connect() as connection:
        return run_id, taken_from(connection, queue)[run_id]


def resend(service: Service, message: Message, **changes: Any) -> None:
    """Publish a changed copy of a message to the queue that the worker reads."""
    queue, _ = service.environment["QUEUES"].split(",")
    sent = {
        "body": message.body,
        "headers": message.headers,
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        "correlation_id": message.properties["correlation_id"],
        **changes,
    }
    with service.traces.connect() as connection:
        Producer(connection).publish(sent.pop("body"), routing_key=queue, **sent)


UNREADABLE: dict[str, tuple[dict[str, Any], str]] = {
    "a serializer that is not accepted": (
        {"content_type": "application/x-python-serialize"},
        "ContentDisallowed",
    ),
    "an unknown serializer": ({"content_type": "application/x-other"}, "ContentDisallowed"),
    "a corrupt body": ({"body": b"[[], {"}, "DecodeError"),
    "arguments of another shape": ({"body": b"[[], [], {}]"}, "InvalidTaskError"),
    "a list of another length": ({"body": b"[1]"}, "InvalidTaskError"),
    "a number": ({"body": b"1"}, "InvalidTaskError"),
    "an object": ({"body": b"{}"}, "InvalidTaskError"),
    "options of another shape": ({"body": b"[[], {}, 1]"}, "InvalidTaskError"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_message_that_the_worker_cannot_read_fails_the_run(
    running: Service, unread: str, name: str
) -> None:
    changes, error = UNREADABLE[name]
    run_id, message = queued_in(running, unread)

    resend(running, message, **changes)

    run = await_run(running, run_id, "failed")
    assert (run["error"]["type"], run["attempts"]) == (error, 0)
    assert run["reason"] == "A worker cannot read its message, and dropped it."


def test_revoked_run_is_cancelled_before_it_starts(running: Service, unread: str) -> None:
    run_id, message = queued_in(running, unread)
    running.traces.control("revoke", task_id=run_id)

    # It takes the control message first, or says that it is too late.
    wait_for(lambda: "revoked" in running.output(), seconds=RUN_SECONDS, why=running.output)
    resend(running, message)

    run = await_run(running, run_id, "cancelled")
    assert (run["reason"], run["attempts"]) == ("It was revoked before it started.", 0)


def test_revoked_run_is_cancelled_while_it_runs(running: Service) -> None:
    run_id = run_of(running, "project.tasks.sleep", kwargs={"seconds": 600})
    await_run(running, run_id, "running")

    running.traces.control("revoke", task_id=run_id, terminate=True)

    run = await_run(running, run_id, "cancelled")
    assert (run["reason"], run["attempts"]) == ("It was terminated while it ran.", 1)


def test_dead_lettered_message_starts_from_its_other_queue(running: Service, unread: str) -> None:
    run_id, message = queued_in(running, unread)
    death = [{"queue": unread, "reason": "maxlen", "count": 1}]

    resend(running, message, headers={**message.headers, "x-death": death})

    assert await_run(running, run_id, "succeeded")["result"] == 3


def test_message_that_expires_while_workers_are_away_blocks_no_slot(
    running: Service, unread: str
) -> None:
    task_id = each_second(
        running, "add", every=5, args=[1, 2], queue=unread, expire_seconds=2, overlap="skip"
    )
    wait_for(
        lambda: len(runs_of(running, task_id, "expired")) >= 3,
        seconds=RUN_SECONDS,
        why=lambda: f"{runs_of(running, task_id)}",
    )
    pause(running, task_id)

    runs = ended_runs_of(running, task_id)

    assert {(run.state, run.reason) for run in runs} == {
        ("expired", "No worker started it before its message expired.")
    }
    for run in runs:
        assert run.ended_at
        assert run.ended_at - run.entered_at < timedelta(seconds=5)
