"""The cost of recording to a worker: no-op and 10 ms tasks, with and without a ledger.

Run from the root of the repository:

    python -m benchmarks.recording [--runs 5000] [--rounds 5] [--seconds 0 0.01]

A worker of concurrency 2 takes messages from a queue of its own on the RabbitMQ of BROKER_URL.
Both sides have the same messages except for one header: with `periodic_task_name` they are runs of
beat, which the ledger on the PostgreSQL of DATABASE_URL has as `queued`; without it they belong to
no periodic task. The measurement starts after the first 200 messages and ends when the queue is
empty; then each run must have succeeded once. The figures are medians; the sides alternate.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from time import monotonic, perf_counter, sleep
from uuid import uuid4

from kombu import Connection, Exchange, Producer

from benchmarks.beats import running
from benchmarks.databases import Database, copy, template
from benchmarks.machine import describe
from benchmarks.queues import BROKER, Queue, queue
from benchmarks.results import save, table

FINISH_TIMEOUT_SECONDS, POLL_SECONDS = 60, 0.005
WARM_UP = 200  # messages of the same kind before the measurement starts
TASK = "project.tasks.sleep"
SIDES = {"recorded": {"periodic_task_name": "Benchmark"}, "not recorded": {}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, nargs="+", default=[0.0, 0.01])
    parser.add_argument("--save", action="store_true", help="keep the results")
    chosen = parser.parse_args()
    with template():
        results = {
            seconds: measure(chosen.runs, chosen.rounds, seconds) for seconds in chosen.seconds
        }
    report(results)
    if chosen.save:
        save("recording", results)


def measure(runs: int, rounds: int, seconds: float) -> dict[str, float]:
    """Return the median runs per second of each side."""
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side in SIDES:
            rates[side].append(rate_of(side, runs, seconds))
            progress = f"{rates[side][-1]:,.0f}/s {side}"
            print(f"{seconds} s, round {number + 1}: {progress}", file=sys.stderr)
    return {side: median(each) for side, each in rates.items()}


def rate_of(side: str, runs: int, seconds: float) -> float:
    """Return the runs per second of a worker."""
    with copy() as database, queue() as target:
        ids = [str(uuid4()) for _ in range(WARM_UP + runs)]
        enter(database, ids)
        publish(target, ids, {**SIDES[side]}, seconds)
        with worker(database, target):
            await_depth(target, runs)
            began = perf_counter()
            await_depth(target, 0)
            rate = runs / (perf_counter() - began)
            if SIDES[side]:
                refuse_wrong(database, len(ids))
        return rate


def enter(database: Database, ids: list[str]) -> None:
    """Insert runs into the ledger in the state `queued`, as beat does."""
    database.connection.execute(
        """
        INSERT INTO scheduler_api_run (
            id, periodic_task_id, periodic_task_name, task, trigger, due_at, slot_count, state,
            reason, is_buffered, created_at, queued_at, args, kwargs, options
        )
        SELECT id, 1, 'Benchmark', %s, 'schedule', now(), 1, 'queued', '', false, now(), now(),
            '[]', '{}', '{}'
        FROM unnest(%s::uuid[]) AS id
        """,
        [TASK, ids],
    )
    database.connection.execute("VACUUM ANALYZE scheduler_api_run")


def publish(target: Queue, ids: list[str], headers: dict[str, str], seconds: float) -> None:
    """Publish a message for each run, in Celery's format."""
    body = [[seconds], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    with Connection(BROKER) as connection:
        producer = Producer(connection.channel(), Exchange(target.name), routing_key=target.name)
        for pk in ids:
            common = {"lang": "py", "task": TASK, "id": pk, "root_id": pk, "ignore_result": True}
            producer.publish(
                body,
                serializer="json",
                headers={**common, "argsrepr": f"[{seconds}]", "kwargsrepr": "{}", **headers},
                correlation_id=pk,
            )


@contextmanager
def worker(database: Database, target: Queue) -> Iterator[None]:
    """Run a worker of concurrency 2."""
    # Names of workers are unique per broker, which may have another worker of this machine.
    options = ["--loglevel", "ERROR", "--hostname", f"{target.name}@%h"]
    command = [sys.executable, "-m", "celery", "-A", "project", "worker", *options]
    environment = {
        **os.environ,
        "BROKER_URL": BROKER,
        "QUEUES": target.name,
        "DATABASE_URL": database.url,
        "WORKER_CONCURRENCY": "2",
    }
    with running(command, environment):
        yield


def await_depth(target: Queue, messages: int) -> None:
    """Wait until a queue has at most this many messages."""
    deadline = monotonic() + FINISH_TIMEOUT_SECONDS
    while target.depth() > messages:
        assert monotonic() < deadline, "the worker has not finished"
        sleep(POLL_SECONDS)


def refuse_wrong(database: Database, runs: int) -> None:
    """Fail unless each run has succeeded with one attempt."""
    deadline = monotonic() + FINISH_TIMEOUT_SECONDS
    statement = "SELECT count(*) FROM scheduler_api_run WHERE state = 'succeeded' AND attempts = 1"
    while database.one(statement) != (runs,):
        assert monotonic() < deadline, f"{database.one(statement)} of {runs} have succeeded"
        sleep(POLL_SECONDS)


def report(results: dict[float, dict[str, float]]) -> None:
    print(f"{describe()}; runs per second of a worker of concurrency 2")
    rows = [
        (f"{1000 * seconds:g} ms", *sides.values(), sides["recorded"] / sides["not recorded"])
        for seconds, sides in results.items()
    ]
    table(("task", *SIDES, "ratio"), rows)


if __name__ == "__main__":
    main()
