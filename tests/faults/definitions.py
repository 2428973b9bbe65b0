"""Periodic tasks inserted by SQL, bypassing the API, the ORM and Django's signals."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
from psycopg import sql

from tests.faults.evidence import Definition, Row

TASK = "tests.faults.tasks.record_effect"
TASKS = "django_celery_beat_periodictask"
MANAGED_TASKS = "scheduler_api_managedtask"

TASK_DEFAULTS = {
    "task": TASK,
    "args": "[]",
    "kwargs": "{}",
    "headers": "{}",
    "description": "",
    "enabled": True,
    "one_off": False,
    "total_run_count": 0,
}
MANAGED_DEFAULTS = {
    "managed_by": "admin",
    "labels": "{}",
    "revision": 1,
    "enabled_on_resume": True,
    "pause_note": "",
    "catchup_window_seconds": 3600,
    "jitter_seconds": 0,
    "max_runtime_seconds": 3600,
    "max_attempts": 1,
    "retry_backoff_seconds": 10,
    "pause_after_failures": 0,
    "overlap": "allow",
}
# Stock beat reads this row to detect changes.
MARK_CHANGED = """
INSERT INTO django_celery_beat_periodictasks (ident, last_update) VALUES (1, clock_timestamp())
ON CONFLICT (ident) DO UPDATE SET last_update = EXCLUDED.last_update
"""
# Shadows PostgreSQL's own clock_timestamp() with a clock that can be stepped, in one database.
CREATE_CLOCK = """
CREATE SCHEMA faults;
CREATE TABLE faults.clock (ahead interval NOT NULL);
INSERT INTO faults.clock VALUES ('0');
CREATE FUNCTION faults.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    'SELECT pg_catalog.clock_timestamp() + ahead FROM faults.clock';
ALTER DATABASE {database} SET search_path = faults, pg_catalog, public
"""
LEDGER_ROWS = """
SELECT id, periodic_task_name, state, slot_at, created_at, queued_at, slot_count, last_slot_at
FROM scheduler_api_run WHERE slot_at IS NOT NULL
"""


def insert(connection: psycopg.Connection, table: str, **columns: object) -> int:
    """Insert a row; return its first column, the id."""
    query = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING *").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(sql.Placeholder() * len(columns)),
    )
    row = connection.execute(query, list(columns.values())).fetchone()
    assert row
    return row[0]


def insert_interval(connection: psycopg.Connection, interval: timedelta) -> int:
    every = round(interval.total_seconds() * 10**6)
    if every % 10**6 == 0:
        return insert(
            connection,
            "django_celery_beat_intervalschedule",
            every=every // 10**6,
            period="seconds",
        )
    return insert(
        connection, "django_celery_beat_intervalschedule", every=every, period="microseconds"
    )


def insert_crontab(connection: psycopg.Connection, expression: str, timezone: str) -> int:
    names = ["minute", "hour", "day_of_month", "month_of_year", "day_of_week"]
    fields = dict(zip(names, expression.split(), strict=True))
    return insert(connection, "django_celery_beat_crontabschedule", **fields, timezone=timezone)


def insert_task(
    connection: psycopg.Connection, name: str, *, changed_at: datetime, **columns: object
) -> int:
    """Insert a periodic task with these columns and defaults for the others."""
    columns = TASK_DEFAULTS | {"name": name, "date_changed": changed_at} | columns
    return insert(connection, TASKS, **columns)


def insert_definition(
    connection: psycopg.Connection,
    definition: Definition,
    *,
    changed_at: datetime,
    policies: Mapping[str, object],
    **columns: object,
) -> None:
    """Insert a periodic task and its managed settings, which stock beat ignores."""
    task = insert_task(connection, definition.name, changed_at=changed_at, **columns)
    window = int(definition.catchup_window.total_seconds())
    settings = MANAGED_DEFAULTS | {
        "misfire": definition.misfire.value,
        "catchup_window_seconds": window,
    }
    insert(connection, MANAGED_TASKS, periodic_task_id=task, **(settings | policies))


def insert_worker(connection: psycopg.Connection, queue: str = "celery") -> None:
    """Insert a worker that has announced no task, and consumes a queue."""
    now = datetime.now(UTC)
    insert(
        connection,
        "scheduler_api_worker",
        name=f"celery@{now.timestamp()}",
        session=uuid4(),
        queues=json.dumps([queue]),
        queue_mismatches="[]",
        returned_tasks="[]",
        version="",
        celery_version="",
        pid=1,
        concurrency=1,
        task_list_id=insert(connection, "scheduler_api_tasklist", digest=str(now.timestamp())),
        started_at=now,
        last_seen_at=now,
    )


def mark_changed(connection: psycopg.Connection) -> None:
    """Mark the periodic tasks as changed for stock beat, as the ORM's signals do."""
    connection.execute(MARK_CHANGED)


def create_clock(connection: psycopg.Connection, database: str) -> None:
    """Give a database a clock that can be stepped. It applies to new connections."""
    connection.execute(CREATE_CLOCK.format(database=database))


def step_clock(connection: psycopg.Connection, ahead: timedelta) -> None:
    """Set how far the clock of a database is ahead."""
    connection.execute("UPDATE faults.clock SET ahead = %s", [ahead])


def rows_of(connection: psycopg.Connection) -> list[Row]:
    """Return the ledger rows that have a slot."""
    names = ["id", "name", "state", "slot_at", "created_at", "queued_at"]
    names += ["slot_count", "last_slot_at"]
    found = [dict(zip(names, row, strict=True)) for row in connection.execute(LEDGER_ROWS)]
    return [Row(**(row | {"id": str(row["id"])})) for row in found]


def errors_of(connection: psycopg.Connection) -> Mapping[str, str]:
    """Return the planning or sending error of each failing periodic task, by name."""
    return dict(
        connection.execute(
            f"SELECT name, last_error FROM {TASKS} JOIN scheduler_api_agenda"
            " ON periodic_task_id = id WHERE last_error <> ''"
        )
    )
