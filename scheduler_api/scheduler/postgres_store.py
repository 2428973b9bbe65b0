"""The engine's SQL statements for PostgreSQL: one per batch, without waiting for locks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.runs.message_options import expiry_of
from scheduler_api.runs.transition_sql import CONFIRM, INSERT_SCHEDULED
from scheduler_api.scheduler.due_slots import DueTask, ScheduledRun
from scheduler_api.scheduler.store import Store
from scheduler_api.scheduler.store_values import (
    AGENDA_COLUMNS,
    MANAGED_COLUMNS,
    TASK_COLUMNS,
    Advance,
    PendingWork,
)

# Read the clock once: PostgreSQL may call clock_timestamp() again for each row.
PENDING_WORK = """
WITH clock AS MATERIALIZED (SELECT coalesce(%(now)s, clock_timestamp()) AS now)
SELECT
    (SELECT now FROM clock),
    EXISTS (SELECT FROM scheduler_api_agenda WHERE stale),
    (SELECT due_at FROM scheduler_api_agenda
        WHERE due_at IS NOT NULL AND NOT stale ORDER BY due_at LIMIT 1),
    EXISTS (SELECT FROM scheduler_api_outbox WHERE retry_at <= (SELECT now FROM clock)),
    EXISTS (SELECT FROM scheduler_api_run WHERE is_buffered),
    EXISTS (
        SELECT FROM scheduler_api_managedtask WHERE paused_until <= (SELECT now FROM clock)
    )
"""
DUE = """
SELECT {columns}
FROM scheduler_api_agenda AS agenda
JOIN django_celery_beat_periodictask AS task ON task.id = agenda.periodic_task_id
LEFT JOIN scheduler_api_managedtask AS managed ON managed.periodic_task_id = task.id
WHERE agenda.due_at <= %(now)s AND NOT agenda.stale
    {condition}
ORDER BY agenda.due_at, agenda.periodic_task_id
LIMIT %(limit)s
FOR NO KEY UPDATE OF agenda, task SKIP LOCKED
"""
ADD_SCHEDULED = f"""
WITH added AS ({INSERT_SCHEDULED.postgresql}), counted AS (
    UPDATE django_celery_beat_periodictask AS task
    SET last_run_at = %(now)s, total_run_count = total_run_count + new.runs
    FROM (SELECT periodic_task_id, count(*) AS runs FROM added GROUP BY 1) AS new
    WHERE task.id = new.periodic_task_id
), enqueue AS (
    INSERT INTO scheduler_api_outbox (run_ids, created_at, retry_at)
    SELECT jsonb_agg(id), %(now)s, %(retry_at)s FROM added HAVING count(*) > 0
    RETURNING id
)
SELECT id::text, (SELECT id FROM enqueue) FROM added
"""  # noqa: S608 - of constants alone
DISABLE = """
UPDATE django_celery_beat_periodictask SET enabled = false
WHERE id = ANY (%(task_ids)s::int[]) AND enabled
"""
ADVANCE = """
UPDATE scheduler_api_agenda AS agenda
SET slot_at = resolved.slot_at, due_at = resolved.due_at,
    resolved_through_at = resolved.resolved_through_at,
    missed_count = missed_count + resolved.missed, failures = 0, last_error = ''
FROM unnest(
    %(task_ids)s::int[], %(slots)s::timestamptz[], %(dues)s::timestamptz[],
    %(resolved_through)s::timestamptz[], %(missed)s::bigint[]
) AS resolved (task_id, slot_at, due_at, resolved_through_at, missed)
WHERE agenda.periodic_task_id = resolved.task_id
"""
WRITE_PLANS = """
UPDATE scheduler_api_agenda AS agenda
SET stale = false, slot_at = planned.slot_at, due_at = planned.due_at,
    anchor_at = planned.anchor_at, slots_after_at = planned.slots_after_at,
    resolved_through_at = planned.resolved_through_at, timing_digest = planned.timing_digest,
    failures = 0, last_error = '', missed_count = planned.missed_count
FROM unnest(
    %(task_ids)s::int[], %(slots)s::timestamptz[], %(dues)s::timestamptz[],
    %(anchors)s::timestamptz[], %(slots_after)s::timestamptz[],
    %(resolved_through)s::timestamptz[], %(timing_digests)s::text[], %(missed)s::bigint[]
) AS planned (
    task_id, slot_at, due_at, anchor_at, slots_after_at, resolved_through_at, timing_digest,
    missed_count
)
WHERE agenda.periodic_task_id = planned.task_id
"""
COLUMNS = ", ".join(
    [
        *(f"agenda.{column}" for column in AGENDA_COLUMNS),
        *(f"task.{column}" for column in TASK_COLUMNS),
        *(f"managed.{column}" for column in MANAGED_COLUMNS),
    ]
)
NEXT_DUE = DUE.format(
    columns=COLUMNS,
    condition="AND (agenda.due_at, agenda.periodic_task_id) > (%(due_at)s, %(task_id)s)",
)
ONE_DUE = DUE.format(columns=COLUMNS, condition="AND agenda.periodic_task_id = %(task_id)s")
AGENDA_HEAD = ("-infinity", 0)
SESSION_SETTINGS = """
SET lock_timeout = '100ms';
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET jit = off
"""


def array(values: Iterable[object]) -> str:
    """Return the text of a PostgreSQL array of numbers, ids, digests or datetimes.

    None of these needs quotes. For a list, psycopg would inspect the type of each value.
    """
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def store_of_database(*, clock: Callable[[], datetime] | None = None) -> Store:
    """Return the store for the database of the settings."""
    kind = PostgresStore if connection.vendor == "postgresql" else Store
    return kind(clock=clock)


class PostgresStore(Store):
    """A store with one statement per batch, and SKIP LOCKED."""

    # The next batch is claimed while the broker confirms one: larger batches make both wait.
    batch_size = 500

    def __init__(self, *, clock: Callable[[], datetime] | None = None) -> None:
        super().__init__(clock=clock)
        self._configured: object = None

    def _configure(self, driver: psycopg.Connection[Any]) -> None:
        """Configure a new connection.

        SKIP LOCKED can still wait, for a row that has just been replaced. `lock_timeout` is below
        `deadlock_timeout`, so that PostgreSQL never aborts a writer of definitions instead.
        A batch finds its rows by id: the planner would prefer to read the whole table, which takes
        longer the more tasks there are.
        """
        with psycopg.Cursor(driver) as cursor:
            cursor.execute(SESSION_SETTINGS)
        self._configured = driver

    def now(self) -> datetime:
        """Return PostgreSQL's clock."""
        return self.pending_work().now

    def pending_work(self) -> PendingWork:
        """Return the kinds of work to do, in one round trip."""
        [row] = self._fetch(PENDING_WORK, now=self._clock() if self._clock else None)
        now, is_stale, next_due_at, has_unsent, has_buffered, has_pause_to_end = row
        return PendingWork(
            now=now,
            is_stale=is_stale,
            next_due_at=next_due_at,
            has_unsent=has_unsent,
            has_buffered=has_buffered,
            has_pause_to_end=has_pause_to_end,
        )

    def write_plans(self, planned: Sequence[Agenda]) -> None:
        """Save planned agenda entries."""
        if not planned:
            return
        self._execute(
            WRITE_PLANS,
            task_ids=array(each.pk for each in planned),
            slots=array(each.slot_at for each in planned),
            dues=array(each.due_at for each in planned),
            anchors=array(each.anchor_at for each in planned),
            slots_after=array(each.slots_after_at for each in planned),
            resolved_through=array(each.resolved_through_at for each in planned),
            timing_digests=array(each.timing_digest for each in planned),
            missed=array(each.missed_count for each in planned),
        )

    def lock_due(
        self, now: datetime, *, after: tuple[datetime, int] | None, limit: int
    ) -> list[DueTask]:
        """Lock due tasks that are not locked, after a cursor, until the end of the transaction."""
        due_at, task_id = after or AGENDA_HEAD
        rows = self._fetch(NEXT_DUE, now=now, due_at=due_at, task_id=task_id, limit=limit)
        return [DueTask._make(row) for row in rows]

    def lock_one(self, task_id: int, now: datetime) -> list[DueTask]:
        """Lock one task if it is still due."""
        rows = self._fetch(ONE_DUE, now=now, task_id=task_id, limit=1)
        return [DueTask._make(row) for row in rows]

    def write_claim(
        self, scheduled: Sequence[ScheduledRun], advances: Sequence[Advance], *, now: datetime
    ) -> tuple[set[str], int]:
        """Add runs, enqueue them for publishing, and advance their tasks in the agenda.

        The second statement is prepared while PostgreSQL executes the first.
        """
        with self._pipeline():
            adding = self._send_scheduled(scheduled, now=now) if scheduled else None
            if advances:
                self._send_advances(advances)
            added = dict(adding.fetchall()) if adding else {}
        done = [each.task.id for each in scheduled if each.task.one_off and each.id in added]
        if done:
            self._execute(DISABLE, task_ids=array(done))
        return set(added), next(iter(added.values()), 0)

    def _send_scheduled(
        self, scheduled: Sequence[ScheduledRun], *, now: datetime
    ) -> psycopg.Cursor[Any]:
        # Many runs share their options, and an array of texts is slow to build.
        options = {
            text: at for at, text in enumerate({each.options for each in scheduled}, start=1)
        }
        return self._send(
            ADD_SCHEDULED,
            now=now,
            retry_at=now + self.batch_timeout,
            ids=array(each.id for each in scheduled),
            task_ids=array(each.task.id for each in scheduled),
            slots=array(each.slot_at for each in scheduled),
            dues=array(each.due_at for each in scheduled),
            options=list(options),
            expiries=array(map(expiry_of, options)),
            chosen=array(options[each.options] for each in scheduled),
        )

    def _send_advances(self, advances: Sequence[Advance]) -> None:
        self._send(
            ADVANCE,
            task_ids=array(each.task_id for each in advances),
            slots=array(each.slot_at for each in advances),
            dues=array(each.due_at for each in advances),
            resolved_through=array(each.resolved_through_at for each in advances),
            missed=array(each.missed for each in advances),
        )

    def mark_queued(self, run_ids: Sequence[str], *, now: datetime) -> None:
        """Mark confirmed runs as queued, in the transaction that settles their batch.

        The commit does not wait for the disk: if a crash of PostgreSQL loses it, the batch is
        republished under the same ids.
        """
        with self._pipeline():
            self._send("SET LOCAL synchronous_commit = off")
            if run_ids:
                self._send(CONFIRM.postgresql, now=now, ids=array(run_ids))

    # --- Statements ---------------------------------------------------------------------------

    def _fetch(self, statement: str, **values: Any) -> list[Any]:
        """Execute a statement and return its rows."""
        with self._pipeline():
            return self._send(statement, **values).fetchall()

    def _execute(self, statement: str, **values: Any) -> None:
        """Execute a statement that returns no rows."""
        with self._pipeline():
            self._send(statement, **values)

    @contextmanager
    def _pipeline(self) -> Iterator[None]:
        """Send statements without waiting for each result; raise Django's errors.

        The pipeline is used in a transaction only, where BEGIN is sent along: a single statement
        gains nothing from it.
        """
        connection.ensure_connection()
        driver: psycopg.Connection[Any] = connection.connection
        with connection.wrap_database_errors:
            if driver is not self._configured:
                self._configure(driver)
            with driver.pipeline() if connection.in_atomic_block else nullcontext():
                yield

    def _send(self, statement: str, **values: Any) -> psycopg.Cursor[Any]:
        """Send a statement, not through Django's cursor, which would interpolate the values."""
        cursor = psycopg.Cursor(connection.connection)
        # Binary, since Django parses datetimes from text in Python.
        return cursor.execute(statement, values, binary=True)
