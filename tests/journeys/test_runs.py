"""Stories of runs in real workers, through the API, on each kind of broker and database."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kombu import Connection, Message, Producer, Queue

from tests.journeys.conftest import delete_queues, new_database, new_queue, new_redis_user
from tests.journeys.killed import (
    a_task_that_kills_its_process_does_not_loop,
    a_worker_that_is_killed_loses_its_runs_and_frees_the_next,
    processes_that_are_killed_lose_their_runs,
    processes_that_are_killed_while_idle_are_replaced,
)
from tests.journeys.ledger import (
    CONCURRENCY,
    RUN_SECONDS,
    TASKS,
    await_run,
    await_state,
    cancel,
    hourly,
    once,
    run_now,
    runs_of,
)
from tests.journeys.overlapping import slow_tasks_overlap_as_their_policies_say
from tests.journeys.service import Service, wait_for

pytestmark = pytest.mark.timeout(600)  # its deadlines are shorter

SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "tests.journeys.settings",
    "MISFIRE_GRACE": "60",  # a busy machine must not make slots late
    "WORKER_CONCURRENCY": str(CONCURRENCY),
}


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


def runs_end_at_their_time_limits(service: Service) -> None:
    module = "tests.journeys.tasks"
    soft = run_now(service, hourly(service, f"{module}.outlast_its_soft_limit"))
    outlasting = hourly(service, f"{module}.outlast_its_hard_limit")
    hard = [run_now(service, outlasting) for _ in range(CONCURRENCY - 1)]

    run = await_run(service, soft, "failed")
    assert (run["error"]["type"], run["attempts"]) == ("SoftTimeLimitExceeded", 1)
    assert "time.sleep" in run["error"]["traceback"]
    for run_id in hard:
        run = await_run(service, run_id, "failed")
        assert (run["error"]["type"], run["attempts"]) == ("TimeLimitExceeded", 1)
        assert "hard time limit, and its process was killed" in run["reason"]
    later = run_now(service, hourly(service, "add", args=[3, 3]))
    assert await_run(service, later, "succeeded")["result"] == 6, (
        "new processes have replaced them"
    )


def runs_are_cancelled_before_they_start_and_while_they_run(service: Service) -> None:
    task_id = hourly(service, "sleep", kwargs={"seconds": 600})
    running = [run_now(service, task_id) for _ in range(CONCURRENCY)]
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


def a_message_that_comes_twice_starts_its_run_once(service: Service) -> None:
    queue, unread = service.environment["QUEUES"].split(",")
    short, long = (
        run_now(service, hourly(service, "sleep", args=[seconds], queue=unread))
        for seconds in (0.61, 600.61)
    )
    await_run(service, short, "queued")
    await_run(service, long, "queued")

    with service.traces.connect() as connection:
        messages = taken_from(connection, unread)
        for _ in range(3):
            send(connection, messages[short], queue)
            send(connection, messages[long], queue)
        await_run(service, short, "succeeded")
        await_run(service, long, "running")
        send(connection, messages[short], queue)
        send(connection, messages[long], queue)

    for run_id in (short, long):
        dropped = f"Dropping a message of run {run_id}"
        wait_for(
            lambda dropped=dropped: service.output().count(dropped) == 3,
            seconds=RUN_SECONDS,
            why=service.output,
        )
    assert await_run(service, short, "succeeded")["attempts"] == 1
    assert await_run(service, long, "running")["attempts"] == 1
    assert service.output().count("Sleeping for 0.61 s") == 1
    assert service.output().count("Sleeping for 600.61 s") == 1
    cancel(service, long)
    await_run(service, long, "cancelled")


def taken_from(connection: Connection, queue: str) -> dict[str, Message]:
    """Take all messages out of a queue; return them by run id."""
    bound, messages = Queue(queue)(connection.default_channel), {}
    while message := bound.get(no_ack=True):
        messages[message.headers["id"]] = message
    return messages


def send(connection: Connection, message: Message, queue: str) -> None:
    """Publish an unchanged copy of a message to a queue, by kombu."""
    Producer(connection).publish(
        message.body,
        routing_key=queue,
        headers=message.headers,
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        correlation_id=message.properties["correlation_id"],
    )


STORIES = [
    a_run_succeeds,
    a_run_fails,
    a_run_is_tried_again_and_succeeds,
    a_run_does_not_wait_for_its_slot,
    runs_end_at_their_time_limits,
    a_task_that_kills_its_process_does_not_loop,
    a_message_that_comes_twice_starts_its_run_once,
    slow_tasks_overlap_as_their_policies_say,
    runs_are_cancelled_before_they_start_and_while_they_run,
]
if Path("/proc/self/environ").exists():  # which they find processes by
    STORIES += [
        processes_that_are_killed_while_idle_are_replaced,
        processes_that_are_killed_lose_their_runs,
        a_worker_that_is_killed_loses_its_runs_and_frees_the_next,
    ]


@pytest.fixture(scope="module", params=["embedded", "on_servers", "on_redis"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One service of each kind, for all stories."""
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


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_story(running: Service, story: Callable[[Service], None]) -> None:
    story(running)
