"""The cost of one change of a definition to beat, and the cost of an idle beat.

Run from the root of the repository; with all sizes it takes ten minutes:

    python -m benchmarks.edits [--tasks 1000 100000 1000000] [--edits 200] [--save]

Our beat and stock run side by side, each with a database and a queue of its own and with no due
tasks; stock up to 100,000 tasks. Measured for each:

- start: from the start of the process until its single due message is in the queue.
- memory and idle: resident memory, and CPU seconds over 20 seconds, of beat and of the PostgreSQL
  processes that serve it.
- an edit: another priority for one task, with the ORM's statements. Queries, BEGIN and COMMIT
  included, are counted between beat and PostgreSQL; CPU seconds are those of beat alone.
- to the first message: a change of its schedule makes a task due at once; from before the
  transaction until its message is delivered from the queue.
"""

import argparse
import sys
from collections.abc import Callable
from contextlib import suppress
from random import Random
from statistics import median, quantiles
from time import monotonic, perf_counter, sleep
from typing import Any

from benchmarks.beats import OURS, STOCK, beats, used
from benchmarks.databases import SELDOM, Database, copy, template
from benchmarks.machine import cpu_seconds_of, describe, resident_mb
from benchmarks.queues import Queue, queue
from benchmarks.results import save, table
from benchmarks.wire import PLAIN, tap

TASKS = (1000, 100_000, 1_000_000)
EDITS = 200
STOCK_EDITS = 5
STOCK_UP_TO = 100_000
IDLE_SECONDS = 20
TIMEOUT_SECONDS = 300  # for a message, or for beat to plan a change
CHANGED = "UPDATE django_celery_beat_periodictasks SET last_update = clock_timestamp()"
OTHER_PRIORITY = """
UPDATE django_celery_beat_periodictask SET priority = coalesce(priority, 0) + 1 WHERE id = %s
"""
DUE_NOW = """
WITH clock AS (
    INSERT INTO django_celery_beat_clockedschedule (clocked_time)
    VALUES (clock_timestamp()) RETURNING id
)
UPDATE django_celery_beat_periodictask AS task
SET clocked_id = clock.id, interval_id = NULL, crontab_id = NULL, one_off = true
FROM clock WHERE task.id = %s
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=TASKS)
    parser.add_argument("--edits", type=int, default=EDITS)
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS)
    parser.add_argument("--sides", nargs="+", default=["ours", "stock"])
    parser.add_argument("--save", action="store_true", help="keep the results for the plots")
    chosen = parser.parse_args()
    results: dict[str, Any] = {}
    with template():
        for tasks in chosen.tasks:
            for side in chosen.sides:
                if side == "stock" and tasks > STOCK_UP_TO:
                    continue
                print(f"{tasks:,} tasks: {side}", file=sys.stderr)
                results.setdefault(str(tasks), {})[side] = measure(
                    tasks, side, edits=chosen.edits, idle_seconds=chosen.idle_seconds
                )
    report(results)
    if chosen.save:
        save("edits", results)


def measure(tasks: int, side: str, *, edits: int, idle_seconds: float) -> dict[str, Any]:
    """Measure one side at one size."""
    with copy() as database, queue() as target, tap(database.url) as tapped:
        database.load(tasks, schedules=SELDOM)
        database.plan(tasks, slot_at="now() + interval '100 days'")
        make_due(database, tasks)
        environment = {"DATABASE_URL": tapped.url, **PLAIN}
        edits = edits if side == "ours" else min(edits, STOCK_EDITS)
        scheduler = OURS if side == "ours" else STOCK
        began = perf_counter()
        with (
            Arrivals(target) as arrivals,
            beats(scheduler, queue=target, environment=environment) as started,
        ):
            [beat] = started
            start = arrivals.next() - began
            settle(beat.pid)
            before = used(started, database.backends())
            sleep(idle_seconds)
            idle = used(started, database.backends()).since(before)
            memory = resident_mb(beat.pid)
            has_effect = is_planned if side == "ours" else is_read_again(beat.pid)
            queries, before = [], used(started, database.backends())
            for number in range(1, edits + 1):
                asked = tapped.queries
                edit(database, number, tasks)
                has_effect(database)
                queries.append(tapped.queries - asked)
            spent = used(started, database.backends()).since(before)
            waits = []
            random = Random(1)
            for number in range(1, min(edits, tasks - 1) + 1):
                sleep(random.random() / 20)
                began = perf_counter()
                make_due(database, number)
                waits.append(1000 * (arrivals.next() - began))
        assert arrivals.count == 1 + len(waits), "a change was sent twice"
    return {
        "start_seconds": start,
        "resident_mb": memory,
        "idle_percent": 100 * idle.beat / idle_seconds,
        "idle_postgres_percent": 100 * idle.postgres / idle_seconds,
        "edit_queries": median(queries),
        "edit_cpu_ms": 1000 * spent.beat / edits,
        "edit_postgres_ms": 1000 * spent.postgres / edits,
        "p50_ms": median(waits),
        "p99_ms": quantiles(waits, n=100)[98] if side == "ours" else None,
        "edits": edits,
    }


class Arrivals:
    """The messages of a queue, in the order of delivery."""

    def __init__(self, target: Queue) -> None:
        self._target = target
        self._came_at: list[float] = []
        self.count = 0

    def __enter__(self) -> "Arrivals":
        self._taking = self._target.taking(self._take)
        self._taking.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(TimeoutError):
            while True:
                self._target.channel.connection.drain_events(timeout=0.5)
        self._taking.__exit__(None, None, None)

    def _take(self, _message: object) -> None:
        self._came_at.append(perf_counter())
        self.count += 1

    def next(self) -> float:
        """Wait for a message; return the perf_counter() of its arrival."""
        while not self._came_at:
            self._target.channel.connection.drain_events(timeout=TIMEOUT_SECONDS)
        return self._came_at.pop(0)


# --- Edits ------------------------------------------------------------------------------------


def edit(database: Database, number: int, tasks: int) -> None:
    """Change the priority of a task, and mark the change for stock, as the ORM does."""
    with database.connection.transaction():
        database.connection.execute(OTHER_PRIORITY, [1 + number * 7919 % tasks])
        database.connection.execute(CHANGED)


def make_due(database: Database, task_id: int) -> None:
    """Make a task due at once."""
    with database.connection.transaction():
        database.connection.execute(DUE_NOW, [task_id])
        database.connection.execute(CHANGED)


def is_planned(database: Database) -> None:
    """Wait until our beat has planned all changes."""
    deadline = monotonic() + TIMEOUT_SECONDS
    while database.one("SELECT EXISTS (SELECT FROM scheduler_api_agenda WHERE stale)")[0]:
        assert monotonic() < deadline, "beat has not planned the changes"
        sleep(0.002)
    sleep(0.02)  # its last queries


def is_read_again(pid: int) -> Callable[[Database], None]:
    """Return a function that waits until stock has reread all tasks: it checks every 5 seconds."""

    def wait(_: Database) -> None:
        sleep(6)
        settle(pid)

    return wait


def settle(pid: int) -> None:
    """Wait until a process is almost idle for a second."""
    last = -1.0
    while (now := cpu_seconds_of(pid)) - last > 0.05:  # noqa: PLR2004
        last = now
        sleep(1)


# --- The report -------------------------------------------------------------------------------

LINES = {
    "start, s": "start_seconds",
    "memory, MB": "resident_mb",
    "idle, % of a core": "idle_percent",
    "idle, PostgreSQL, % of a core": "idle_postgres_percent",
    "an edit: queries": "edit_queries",
    "an edit: beat, ms of a core": "edit_cpu_ms",
    "an edit: PostgreSQL, ms of a core": "edit_postgres_ms",
    "to the first message, p50, ms": "p50_ms",
    "to the first message, p99, ms": "p99_ms",
    "edits": "edits",
}


def report(results: dict[str, Any]) -> None:
    print(describe())
    columns = [(tasks, side) for tasks, sides in results.items() for side in sides]
    table(
        ("", *(f"{side}, {int(tasks):,}" for tasks, side in columns)),
        (
            (name, *(results[tasks][side][key] for tasks, side in columns))
            for name, key in LINES.items()
        ),
    )


if __name__ == "__main__":
    main()
