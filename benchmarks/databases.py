"""Databases for beat: copies of a migrated template, with any number of tasks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

import django
import psycopg
from django.core.management import call_command
from psycopg import sql

from benchmarks.served import DATABASE, POSTGRES, database

SCHEDULES = 100  # of each kind: first the daily ones, then the same number of rare ones
# SQL expressions of a task's number: even ones have an interval, odd ones a crontab.
DAILY = {
    "interval_id": f"CASE WHEN number % 2 = 0 THEN 1 + number / 2 % {SCHEDULES} END",
    "crontab_id": f"CASE WHEN number % 2 = 1 THEN 1 + number / 2 % {SCHEDULES} END",
}
SELDOM = {
    name: expression.replace("THEN 1", f"THEN {SCHEDULES + 1}")
    for name, expression in DAILY.items()
}
# Two different tasks of project.tasks, with different arguments for each periodic task.
WORK = {
    "name": "'Report ' || lpad(number::text, 7, '0')",
    "task": "CASE WHEN number % 3 = 0 THEN 'project.tasks.import_contacts' "
    "ELSE 'project.tasks.add' END",
    "args": "CASE WHEN number % 3 = 0 THEN '[]' ELSE '[' || number || ', 1]' END",
    "kwargs": "CASE WHEN number % 3 = 0 THEN "
    """'{"arg1": "list ' || number || '", "arg2": "weekly"}' ELSE '{}' END""",
}
TASKS, HALVES = "django_celery_beat_periodictask", "scheduler_api_managedtask"
AGENDA = "scheduler_api_agenda"
numbers = count(1)
FILL = """
INSERT INTO scheduler_api_run (
    id, periodic_task_id, periodic_task_name, task, trigger, slot_at, due_at, slot_count, state,
    reason, is_buffered, created_at, queued_at, started_at, finished_at, worker, attempts, args,
    kwargs, options, result
)
SELECT
    overlay(md5(number::text) PLACING milliseconds || '8' FROM 1)::uuid,
    1 + mod(number, 100000), 'Report', 'project.tasks.add', 'schedule', at, at,
    1, CASE WHEN mod(number, 100) = 0 THEN 'failed' ELSE 'succeeded' END, '', false,
    at, at, at, at, 'celery@worker-1', 1, '[1, 2]', '{}', '{}', '3'
FROM
    generate_series(1, %(rows)s) AS number,
    LATERAL (
        SELECT now() - interval '1 day' - number * interval '30 days' / %(rows)s
    ) AS entered (at),
    LATERAL (SELECT lpad(to_hex((1000 * extract(epoch FROM at))::bigint), 12, '0'))
        AS written (milliseconds)
"""


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database of its own, and a connection to it."""

    url: str
    connection: psycopg.Connection

    def one(self, statement: str, *values: object) -> tuple:
        """Return the single row of a query."""
        row = self.connection.execute(statement, values).fetchone()
        assert row is not None, statement
        return row

    def backends(self) -> list[int]:
        """Return the PostgreSQL processes that serve other connections than this one."""
        rows = self.connection.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in rows]

    def load(
        self, tasks: int, *, schedules: Mapping[str, str], last_run_at: str = "now()"
    ) -> None:
        """Store periodic tasks and leave the agenda empty; all arguments but `tasks` are SQL.

        Each is a copy of the existing one, without triggers and checks: those take minutes.
        """
        with self._unchecked():
            self._multiply(
                TASKS, tasks, {"id": "number", "last_run_at": last_run_at, **WORK, **schedules}
            )
            self._multiply(HALVES, tasks, {"periodic_task_id": "number"})
        self.connection.execute("VACUUM ANALYZE")

    def plan(self, tasks: int, *, slot_at: str, anchor_at: str = "now()") -> None:
        """Add periodic tasks to the agenda as beat does; all arguments but `tasks` are SQL."""
        plan = {
            "periodic_task_id": "number",
            "slot_at": slot_at,
            "due_at": slot_at,
            "anchor_at": anchor_at,
            "stale": "false",
            "timing_digest": "'benchmark'",
        }
        with self._unchecked():
            self._multiply(AGENDA, tasks, plan)
        self.connection.execute(f"VACUUM ANALYZE {AGENDA}")

    @contextmanager
    def _unchecked(self) -> Iterator[None]:
        with self.connection.transaction():
            self.connection.execute("SET LOCAL session_replication_role = replica")
            yield

    def _multiply(self, table: str, count: int, changes: Mapping[str, str]) -> None:
        """Replace the single row of a table by copies with other values in some columns."""
        columns = [
            name
            for (name,) in self.connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s", [table]
            )
        ]
        assert changes.keys() <= set(columns), changes
        values = (changes.get(column, f"pattern.{column}") for column in columns)
        self.connection.execute(
            f"CREATE TEMPORARY TABLE pattern ON COMMIT DROP AS SELECT * FROM {table}"  # noqa: S608
        )
        self.connection.execute(f"DELETE FROM {table}")  # noqa: S608
        self.connection.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)}"  # noqa: S608
            f" FROM pattern, generate_series(1, {count}) AS number"
        )
        self.connection.execute("DROP TABLE pattern")


@contextmanager
def template() -> Iterator[None]:
    """Create the template database for the copies; the environment names it."""
    with database():
        django.setup()
        call_command("migrate", verbosity=0)
        store_patterns()
        yield


def store_patterns() -> None:
    """Store the schedules, and one periodic task with its related rows."""
    from django.db import connection  # noqa: PLC0415 - only now can models be imported
    from django_celery_beat.models import (  # noqa: PLC0415
        CrontabSchedule,
        IntervalSchedule,
        PeriodicTask,
        PeriodicTasks,
    )

    from scheduler_api.access.models import ServiceAccount  # noqa: PLC0415
    from scheduler_api.periodic_tasks.models import ManagedTask  # noqa: PLC0415

    numbered = range(SCHEDULES)
    intervals = [(60 + number, "minutes") for number in numbered]
    intervals += [(300 + number, "days") for number in numbered]
    IntervalSchedule.objects.bulk_create(
        IntervalSchedule(every=every, period=period) for every, period in intervals
    )
    CrontabSchedule.objects.bulk_create(map(daily_crontab, numbered))
    half_a_year_on = str((datetime.now(UTC).month + 5) % 12 + 1)
    CrontabSchedule.objects.bulk_create(
        CrontabSchedule(minute=str(number % 60), day_of_month="1", month_of_year=half_a_year_on)
        for number in numbered
    )
    task = PeriodicTask.objects.create(
        name="Report", task="project.tasks.add", interval=IntervalSchedule.objects.first()
    )
    owner = ServiceAccount.objects.create(name="Benchmark", scopes=["admin"])
    ManagedTask.objects.create(periodic_task=task, owner=owner)
    PeriodicTasks.update_changed()
    connection.close()


def fill_ledger(rows: int) -> None:
    """Add this many runs to the template, which ended within the last month."""
    url = urlunsplit(urlsplit(POSTGRES)._replace(path=f"/{DATABASE}"))
    with psycopg.connect(url, autocommit=True) as connection:
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'scheduler_api_run' "
            "AND indexname NOT LIKE '%_pkey'"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        connection.execute(FILL, {"rows": rows})
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute("VACUUM ANALYZE scheduler_api_run")


def daily_crontab(number: int) -> Any:
    """Return a crontab with a slot in the last day and the next in some hours, in some zone."""
    from django_celery_beat.models import CrontabSchedule  # noqa: PLC0415

    zone = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo")[number % 4]
    hour = datetime.now(ZoneInfo(zone)).hour
    return CrontabSchedule(
        minute=str(number % 60), hour=f"{(hour + 8) % 24},{(hour + 14) % 24}", timezone=zone
    )


@contextmanager
def copy() -> Iterator[Database]:
    """Create a copy of the template, and drop it at the end."""
    name = f"{DATABASE}_{next(numbers)}"
    url = urlunsplit(urlsplit(POSTGRES)._replace(path=f"/{name}"))
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(DATABASE)
            )
        )
        try:
            with psycopg.connect(url, autocommit=True) as inside:
                yield Database(url=url, connection=inside)
        finally:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )
