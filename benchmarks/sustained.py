"""A steady stream of slots for any duration: is each slot sent once, and in time?

Run from the root of the repository; it takes ten minutes:

    python -m benchmarks.sustained [--seconds 60] [--save]
        [--parts spread instant untaken large peers api]

- 2,000 tasks with an interval of 1 s, spread over the second; then the same with all tasks due at
  the same instant. 100,000 tasks with an interval of 500 s: 200 each second. A consumer takes the
  messages, as workers do, and discards them; in one more part the first stream stays in its queue,
  which grows.
- The slots in the ledger are compared with the expected ones, the first slot plus k intervals, and
  its ids with the ids of the messages. Lateness is `queued_at` minus `slot_at`: the time until the
  broker confirmed the message and beat recorded that.
- Stock and RedBeat have the same 2,000 tasks, for a shorter time; messages are counted.
- The API gets requests over one connection (a list, a task and a change in turn) while 100,000
  runs that are due at once are dispatched; its milliseconds are percentiles. One gunicorn process.

No worker runs. Everything is on one machine.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from itertools import chain, cycle
from random import Random
from statistics import quantiles
from time import monotonic, perf_counter, sleep
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from benchmarks import served
from benchmarks.beats import HAS_REDBEAT, OURS, REDBEAT, STOCK, await_first_tick, beats
from benchmarks.databases import AGENDA, Database, copy, template
from benchmarks.machine import describe
from benchmarks.queues import Queue, queue
from benchmarks.results import save, table

PARTS = ("spread", "instant", "untaken", "large", "peers", "api")
LARGE_RATE = 200  # slots per second of the large table
LEAD, LEAD_PER_TASK = timedelta(seconds=4), timedelta(microseconds=50)
FINISH_TIMEOUT_SECONDS = 60
WARM_UP_SECONDS, ALONE_SECONDS = 2, 20
IS_DONE = """
SELECT NOT EXISTS (SELECT FROM scheduler_api_agenda WHERE due_at < %s)
    AND NOT EXISTS (SELECT FROM scheduler_api_run WHERE state = 'pending' AND slot_at < %s)
"""
LATENESS = """
SELECT count(*), count(DISTINCT (periodic_task_id, slot_at)),
    max(abs(extract(epoch FROM slot_at - %(begin)s)::numeric - round(
        (extract(epoch FROM slot_at - %(begin)s)::numeric - (periodic_task_id - 1) * %(apart)s)
        / %(every)s
    ) * %(every)s - (periodic_task_id - 1) * %(apart)s)),
    percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP
        (ORDER BY extract(epoch FROM queued_at - slot_at))
FROM scheduler_api_run WHERE state = 'queued' AND slot_at < %(end)s
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--peer-seconds", type=int, default=20)
    parser.add_argument("--rate", type=int, default=2000, help="slots each second")
    parser.add_argument("--tasks", type=int, default=100_000, help="in the large table")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--save", action="store_true", help="keep the results")
    chosen = parser.parse_args()
    rate, tasks = chosen.rate, chosen.tasks
    streams: dict[str, dict[str, Any]] = {
        "spread": {"tasks": rate, "every": 1},
        "instant": {"tasks": rate, "every": 1, "spread": False},
        "untaken": {"tasks": rate, "every": 1, "is_taken": False},
        "large": {"tasks": tasks, "every": max(tasks // LARGE_RATE, 1)},
    }
    names = {
        "spread": f"{rate:,}/s, spread",
        "instant": f"{rate:,}/s, at one instant",
        "untaken": f"{rate:,}/s, spread, not taken",
        "large": f"{LARGE_RATE}/s of {tasks:,} tasks",
    }
    peers = {"stock": stock, "RedBeat": redbeat} if HAS_REDBEAT else {"stock": stock}
    results: dict[str, Any] = {"streams": {}, "peers": {}}
    with template():
        for part, stream in streams.items():
            if part in chosen.parts:
                print(names[part], file=sys.stderr)
                results["streams"][names[part]] = ours(seconds=chosen.seconds, **stream)
        if "peers" in chosen.parts:
            for name, peer in peers.items():
                print(name, file=sys.stderr)
                results["peers"][name] = peer(rate, chosen.peer_seconds)
    if "api" in chosen.parts:
        print("the API", file=sys.stderr)
        results["api"] = api_meanwhile()
    report(results, rate)
    if chosen.save:
        save("sustained", results)
    if lost := sum(each["lost"] for each in results["streams"].values()):
        sys.exit(f"{lost} slots were lost")


# --- Ours -------------------------------------------------------------------------------------


def ours(
    *, tasks: int, every: int, seconds: int, spread: bool = True, is_taken: bool = True
) -> dict[str, Any]:
    """Run beat for a number of seconds; fail if a slot was sent twice."""
    apart = every / tasks if spread else 0.0  # seconds between two tasks
    with copy() as database, queue() as target:
        store(database, tasks, every)
        begin = datetime.now(UTC) + LEAD + tasks * LEAD_PER_TASK
        slot_at = f"timestamptz '{begin.isoformat()}' + (number - 1) * {apart} * interval '1 s'"
        before = f"interval '{every} s'"
        database.plan(tasks, slot_at=slot_at, anchor_at=f"{slot_at} - {before}")
        end = begin + timedelta(seconds=seconds)
        with (
            target.emptied() if is_taken else nullcontext(Counter[str]()) as taken,
            beats(OURS, queue=target, environment={"DATABASE_URL": database.url}),
        ):
            await_first_tick(database)
            started_late = datetime.now(UTC) > begin
            sleep((end - datetime.now(UTC)).total_seconds())
            await_end(database, end)
        assert not started_late, "the machine is too busy: beat has started too late"
        values = {"begin": begin, "end": end, "apart": apart, "every": every}
        found = database.connection.execute(LATENESS, values).fetchone()
        assert found is not None
        sent, slots, drift, (p50, p99, most) = found
        expected = sum(
            -(-(seconds - number * apart) // every) for number in range(tasks)
            if number * apart < seconds
        )  # fmt: skip
        refuse_doubled(database, taken + target.ids())
        assert sent == slots, "the ledger has a slot twice"
        return {
            "slots": int(expected),
            "lost": int(expected) - slots,
            "doubled": sent - slots,
            "drift_ms": 1000 * float(drift),
            "p50_ms": 1000 * p50,
            "p99_ms": 1000 * p99,
            "max_ms": 1000 * most,
        }


def await_end(database: Database, end: datetime) -> None:
    """Wait until the ledger has all slots before `end` as queued."""
    deadline = monotonic() + FINISH_TIMEOUT_SECONDS
    while not database.one(IS_DONE, end, end)[0]:
        assert monotonic() < deadline, "beat has not finished"
        sleep(0.5)


def store(database: Database, tasks: int, every: int) -> None:
    """Store tasks with the same interval in seconds, which are due at once for a peer."""
    [pk] = database.one(
        "INSERT INTO django_celery_beat_intervalschedule (every, period)"
        " VALUES (%s, 'seconds') RETURNING id",
        every,
    )
    database.load(tasks, schedules={"interval_id": str(pk)})


def refuse_doubled(database: Database, ids: Counter[str]) -> None:
    """Fail if a message was sent twice, or is not in the ledger."""
    rows = database.connection.execute("SELECT id::text FROM scheduler_api_run")
    known = {pk for (pk,) in rows}
    assert ids.total() == len(known), f"{ids.total()} messages for {len(known)} runs"
    assert set(ids) == known, "the queue has others than the ledger"


# --- The peers --------------------------------------------------------------------------------


def stock(tasks: int, seconds: int) -> float:
    """Return the messages per second of django-celery-beat's scheduler."""
    with copy() as database, queue() as target:
        store(database, tasks, 1)
        with beats(STOCK, queue=target, environment={"DATABASE_URL": database.url}):
            return counted(target, seconds)


def redbeat(tasks: int, seconds: int) -> float:
    """Return the messages per second of RedBeat."""
    from benchmarks.redbeat import entries  # noqa: PLC0415 - it may be missing

    with (
        queue() as target,
        entries(tasks, every=1) as environment,
        beats(REDBEAT, queue=target, environment=environment),
    ):
        return counted(target, seconds)


def counted(target: Queue, seconds: int) -> float:
    """Return the messages per second, from the first message on."""
    while not target.depth():
        sleep(0.01)
    began, before = perf_counter(), target.depth()
    sleep(seconds)
    return (target.depth() - before) / (perf_counter() - began)


# --- The API ----------------------------------------------------------------------------------


def api_meanwhile() -> dict[str, Any]:
    """Return the latencies of the API, alone and while as many runs as tasks are dispatched."""
    with served.served() as server, queue() as target:
        url = urlunsplit(urlsplit(served.POSTGRES)._replace(path=f"/{served.DATABASE}"))
        with psycopg.connect(url, autocommit=True) as connection, server.client() as client:
            database = Database(url=url, connection=connection)
            database.connection.execute(
                f"UPDATE {AGENDA} SET stale = false, due_at = now() + interval '1 day'"  # noqa: S608
            )
            database.connection.execute("VACUUM FULL ANALYZE")
            asked: dict[str, dict[str, list[float]]] = {"alone": {}, "meanwhile": {}}
            with beats(OURS, queue=target, environment={"DATABASE_URL": url}):
                await_first_tick(database)
                ask(client, {}, after(WARM_UP_SECONDS))
                ask(client, asked["alone"], after(ALONE_SECONDS))
                database.connection.execute(
                    f"UPDATE {AGENDA} SET slot_at = now(), due_at = now()"  # noqa: S608
                )
                began = perf_counter()
                ask(client, asked["meanwhile"], lambda: target.depth() >= served.TASKS)
                seconds = perf_counter() - began
            return {
                "rate": served.TASKS / seconds,
                **{name: percentiles(each) for name, each in asked.items()},
            }


def after(seconds: float) -> Callable[[], bool]:
    """Return a function that returns whether `seconds` have passed since this call."""
    end = monotonic() + seconds
    return lambda: monotonic() > end


def ask(client: served.Client, asked: dict[str, list[float]], is_over: Callable[[], bool]) -> None:
    """Request a list, a task and a change in turn, and record the latency of each."""
    random = Random(2)
    for number, kind in enumerate(cycle(("list", "read", "change"))):
        if kind == "list" and number and is_over():
            return
        task = f"/api/v1/periodic-tasks/{random.randint(1, served.TASKS)}/"
        began = perf_counter()
        if kind == "list":
            client.send("GET", "/api/v1/periodic-tasks/?page_size=50")
        elif kind == "read":
            client.send("GET", task)
        else:
            client.send("PATCH", task, {"description": f"Adds {number}"})
        asked.setdefault(kind, []).append(1000 * (perf_counter() - began))


def percentiles(asked: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    found = {}
    for kind, waits in [*asked.items(), ("all", list(chain(*asked.values())))]:
        cuts = quantiles(waits, n=100)
        found[kind] = {"p50_ms": cuts[49], "p99_ms": cuts[98], "requests": len(waits)}
    return found


# --- The report -------------------------------------------------------------------------------


def report(results: dict[str, Any], rate: int) -> None:
    print(describe())
    keys = ("slots", "lost", "doubled", "drift_ms", "p50_ms", "p99_ms", "max_ms")
    if results["streams"]:
        table(
            ("", "slots", "lost", "doubled", "drift, ms", "late, p50, ms", "p99", "max"),
            ((name, *(each[key] for key in keys)) for name, each in results["streams"].items()),
        )
    if results["peers"]:
        table((f"of {rate:,}/s", "messages/s"), results["peers"].items())
    if "api" in results:
        api = results["api"]
        print(f"The API while {served.TASKS:,} runs are dispatched, {api['rate']:,.0f}/s:")
        table(
            ("", "alone, p50, ms", "p99", "meanwhile, p50, ms", "p99", "requests"),
            (
                (
                    kind,
                    *(api[when][kind][key] for when in ("alone", "meanwhile")
                      for key in ("p50_ms", "p99_ms")),
                    each["requests"],
                )
                for kind, each in api["meanwhile"].items()
            ),
        )  # fmt: skip


if __name__ == "__main__":
    main()
