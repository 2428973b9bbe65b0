"""All tasks due at once: messages per second of one and two of our beats, stock and RedBeat.

Run from the root of the repository; with all sizes and three rounds it takes half an hour:

    python -m benchmarks.dispatch [--tasks 1000 10000 100000] [--rounds 3] [--save]

Each side is a process of `celery beat` with a database and a durable queue of its own, on the
PostgreSQL of DATABASE_URL and the RabbitMQ of BROKER_URL (RedBeat: on the Redis of REDIS_URL); no
worker runs. The sides alternate in each round; the figures are medians.

- ours: from the time at which all tasks are due, with beat waiting for it, until each message is
  confirmed and recorded in the ledger. Then all messages are consumed: each slot must occur once
  in the queue and once in the ledger.
- stock: from its first message, so without its start, for at most 20 seconds. RedBeat: from its
  start, since it reads all due tasks before its first message.
- raw: py-amqp with one prebuilt message (benchmarks/raw.py), the same number of messages into the
  same kind of queue.

From 100,000 tasks on, stock and RedBeat have one round.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from time import monotonic, perf_counter, sleep
from typing import Any

from benchmarks.beats import (
    HAS_REDBEAT,
    OURS,
    REDBEAT,
    STOCK,
    Used,
    await_first_tick,
    beats,
    rabbitmq,
    redis,
    used,
)
from benchmarks.databases import DAILY, Database, copy, fill_ledger, template
from benchmarks.machine import cpu_seconds, describe
from benchmarks.queues import Queue, queue
from benchmarks.results import save, table

TASKS = (1000, 10_000, 100_000)
# Time from planning until all tasks are due; beat starts in it.
LEAD, LEAD_PER_TASK = timedelta(seconds=4), timedelta(microseconds=50)
BEFORE_SECONDS = 0.1
STOCK_SECONDS = 20
FINISH_TIMEOUT_SECONDS = 900
POLL_SECONDS = 0.01
ONE_ROUND_FROM = 100_000
A_DAY_AGO = "now() - interval '1 day'"
# Notifies after each transaction that records a confirmed batch in the ledger.
NOTIFY_OF_BATCHES = """
CREATE FUNCTION benchmark_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NOTIFY benchmark; RETURN NULL; END $$;
CREATE TRIGGER benchmark_notify AFTER DELETE ON scheduler_api_outbox
    FOR EACH STATEMENT EXECUTE FUNCTION benchmark_notify();
LISTEN benchmark;
"""
IS_DONE = """
SELECT NOT EXISTS (SELECT FROM scheduler_api_agenda WHERE due_at <= %s)
    AND NOT EXISTS (SELECT FROM scheduler_api_outbox)
"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The number of messages of a round, its duration and its CPU time."""

    messages: int
    seconds: float
    cpu: Used


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of the comparison: its measurement, and its number of rounds with many tasks."""

    name: str
    measure: Callable[[int], Measured]
    is_slow: bool = False

    def has_turn(self, tasks: int, number: int) -> bool:
        return number == 0 or not (self.is_slow and tasks >= ONE_ROUND_FROM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=TASKS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", nargs="+", default=[side.name for side in SIDES])
    parser.add_argument("--save", action="store_true", help="keep the results for the plots")
    parser.add_argument("--ledger", type=int, help="number of runs already in the ledger")
    chosen = parser.parse_args()
    sides = [side for side in SIDES if side.name in chosen.sides]
    with template():
        if chosen.ledger:
            print(f"{chosen.ledger:,} runs into the ledger", file=sys.stderr)
            fill_ledger(chosen.ledger)
        results = {
            str(tasks): measure(tasks, sides, rounds=chosen.rounds) for tasks in chosen.tasks
        }
    report(results)
    if chosen.save:
        save("dispatch", results)


def measure(tasks: int, sides: Sequence[Side], *, rounds: int) -> dict[str, Any]:
    """Measure all sides alternately; return the medians of each by its name."""
    measured: dict[str, list[Measured]] = {}
    for number in range(rounds):
        for side in sides:
            if side.has_turn(tasks, number):
                print(f"{tasks:,} tasks, round {number + 1}: {side.name}", file=sys.stderr)
                measured.setdefault(side.name, []).append(side.measure(tasks))
    return {name: medians(each) for name, each in measured.items()}


def medians(rounds: Sequence[Measured]) -> dict[str, float]:
    """Return messages per second, and CPU seconds per 1,000 messages."""
    return {
        "rate": median(each.messages / each.seconds for each in rounds),
        "slowest": min(each.messages / each.seconds for each in rounds),
        "fastest": max(each.messages / each.seconds for each in rounds),
        **{
            kind: median(1000 * asdict(each.cpu)[kind] / each.messages for each in rounds)
            for kind in asdict(rounds[0].cpu)
        },
    }


# --- Ours -------------------------------------------------------------------------------------


def ours(tasks: int, processes: int = 1, lead: timedelta = LEAD) -> Measured:
    """Measure our beat, and check that each slot was sent once."""
    with copy() as database, queue() as target:
        database.load(tasks, schedules=DAILY, last_run_at=A_DAY_AGO)
        database.connection.execute(NOTIFY_OF_BATCHES)
        due_at = datetime.now(UTC) + lead + tasks * LEAD_PER_TASK
        slot_at = f"timestamptz '{due_at.isoformat()}'"
        database.plan(tasks, slot_at=slot_at, anchor_at=slot_at)
        environment = {"DATABASE_URL": database.url}
        with beats(OURS, queue=target, processes=processes, environment=environment) as started:
            await_first_tick(database, processes)
            left = (due_at - datetime.now(UTC)).total_seconds() - BEFORE_SECONDS
            if left > 0:
                sleep(left)
                before = used(started, database.backends())
                await_end(database, due_at)
                seconds = (datetime.now(UTC) - due_at).total_seconds()
                cpu = used(started, database.backends()).since(before)
        if left <= 0:  # the machine is busy
            return ours(tasks, processes, 2 * lead)
        refuse_wrong(database, target, tasks, due_at)
        return Measured(messages=tasks, seconds=seconds, cpu=cpu)


def two_of_ours(tasks: int) -> Measured:
    return ours(tasks, 2)


def await_end(database: Database, due_at: datetime) -> None:
    """Wait until all messages are confirmed and recorded in the ledger."""
    deadline = monotonic() + FINISH_TIMEOUT_SECONDS
    while not database.one(IS_DONE, due_at)[0]:
        assert monotonic() < deadline, "beat has not finished"
        for _ in database.connection.notifies(timeout=1, stop_after=1):
            pass


def refuse_wrong(database: Database, target: Queue, tasks: int, due_at: datetime) -> None:
    """Fail unless each slot occurs once in the ledger and once in the queue."""
    rows = database.connection.execute(
        "SELECT id::text, periodic_task_id, state, slot_at FROM scheduler_api_run "
        "WHERE created_at > now() - interval '1 hour'"
    ).fetchall()
    assert len(rows) == tasks, f"{len(rows)} runs for {tasks} slots"
    assert len({task_id for _, task_id, _, _ in rows}) == tasks, "a task has two runs"
    assert {(state, slot) for _, _, state, slot in rows} == {("queued", due_at)}, "wrong runs"
    sent = target.ids()
    known = {pk for pk, *_ in rows}
    assert sent.total() == tasks, f"{sent.total()} messages for {tasks} slots"
    assert set(sent) == known, f"{len(known - set(sent))} runs of the ledger are not in the queue"


# --- The others -------------------------------------------------------------------------------


def stock(tasks: int) -> Measured:
    """Measure django-celery-beat's scheduler from its first message on."""
    with copy() as database, queue() as target:
        database.load(tasks, schedules=DAILY, last_run_at=A_DAY_AGO)
        environment = {"DATABASE_URL": database.url}
        with beats(STOCK, queue=target, environment=environment) as started:
            first = await_depth(target, 1, within=FINISH_TIMEOUT_SECONDS)
            before, began = used(started, database.backends()), perf_counter()
            last = await_depth(target, tasks, within=STOCK_SECONDS)
            seconds = perf_counter() - began
            cpu = used(started, database.backends()).since(before)
        return Measured(messages=last - first, seconds=seconds, cpu=cpu)


def redbeat(tasks: int) -> Measured:
    """Measure RedBeat from its start to its last message."""
    from benchmarks.redbeat import await_start, entries  # noqa: PLC0415 - it may be missing

    with queue() as target, entries(tasks) as environment:
        with beats(REDBEAT, queue=target, environment=environment) as started:
            await_start(environment["REDBEAT_KEY_PREFIX"])
            before, began = used(started, redis()), perf_counter()
            sent = await_depth(target, tasks, within=FINISH_TIMEOUT_SECONDS)
            seconds = perf_counter() - began
            cpu = used(started, redis()).since(before)
        return Measured(messages=sent, seconds=seconds, cpu=cpu)


def raw(messages: int) -> Measured:
    """Measure the raw limit."""
    with queue() as target:
        before = cpu_seconds(rabbitmq())
        command = [sys.executable, "-m", "benchmarks.raw", target.name, str(messages)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        seconds, beat = map(float, output.split())
        cpu = Used(beat=beat, postgres=0.0, rabbitmq=cpu_seconds(rabbitmq()) - before)
        assert target.depth() == messages, "the raw limit has lost messages"
        return Measured(messages=messages, seconds=seconds, cpu=cpu)


def await_depth(target: Queue, messages: int, *, within: float) -> int:
    """Wait for a number of messages in a queue, or `within` seconds; return their number."""
    deadline = monotonic() + within
    while (depth := target.depth()) < messages and monotonic() < deadline:
        sleep(POLL_SECONDS)
    return depth


SIDES = [
    Side(name="raw", measure=raw),
    Side(name="ours", measure=ours),
    Side(name="ours, two processes", measure=two_of_ours),
    Side(name="stock", measure=stock, is_slow=True),
    *([Side(name="RedBeat", measure=redbeat, is_slow=True)] if HAS_REDBEAT else []),
]


# --- The report -------------------------------------------------------------------------------


def report(results: dict[str, Any]) -> None:
    print(f"{describe()}; each slot of ours was in the queue and in the ledger, once")
    rows = [
        (f"{int(tasks):,}", name, each["rate"], *ratios(sides, name))
        for tasks, sides in results.items()
        for name, each in sides.items()
    ]
    table(("tasks", "", "messages/s", "of raw", "times stock", "times RedBeat"), rows)
    print("Seconds of a core per 1,000 messages:")
    rows = [
        (f"{int(tasks):,}", name, each["beat"], each["postgres"], each["rabbitmq"])
        for tasks, sides in results.items()
        for name, each in sides.items()
    ]
    table(("tasks", "", "beat", "PostgreSQL, Redis", "RabbitMQ"), rows)


def ratios(sides: dict[str, Any], name: str) -> Iterator[float | None]:
    """Yield the speed of a side relative to each of the others."""
    for other in ("raw", "stock", "RedBeat"):
        yield sides[name]["rate"] / sides[other]["rate"] if other in sides else None


if __name__ == "__main__":
    main()
