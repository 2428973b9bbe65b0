"""The engine's statements on PostgreSQL: a batch at a time, without waiting for anybody's lock."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.runs.transition_sql import CONFIRM, INSERT_SCHEDULED
from scheduler_api.scheduler.due_slots import DueTask, ScheduledRun
from scheduler_api.scheduler.store import (
    AGENDA_COLUMNS,
    MANAGED_COLUMNS,
    TASK_COLUMNS,
    Advance,
    PendingWork,
    Store,
)

# The time is told once: to PostgreSQL, that function may tell another for each row.
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
), put_out AS (
    INSERT INTO scheduler_api_outbox (run_ids, created_at, retry_at)
    SELECT jsonb_agg(id), %(now)s, %(retry_at)s FROM added HAVING count(*) > 0
    RETURNING id
)
SELECT id::text, (SELECT id FROM put_out) FROM added
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
THE_FIRST = ("-infinity", 0)
SETTINGS = """
SET lock_timeout = '100ms';
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET jit = off
"""


def array(values: Iterable[object]) -> str:
    """Return a PostgreSQL array of numbers, ids, digests or moments, none of which needs quotes.

    psycopg looks at each value of a list to find out what it is.
    """
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def store_of_database(*, clock: Callable[[], datetime] | None = None) -> Store:
    """Return the store for the database of the settings."""
    kind = PostgresStore if connection.vendor == "postgresql" else Store
    return kind(clock=clock)


class PostgresStore(Store):
    """Store with one statement for a batch, and SKIP LOCKED."""

    # While the broker takes one, the next is claimed: with larger ones, either waits longer.
    batch = 500

    def __init__(self, *, clock: Callable[[], datetime] | None = None) -> None:
        super().__init__(clock=clock)
        self._prepared: object = None

    def _prepare(self, driver: psycopg.Connection[Any]) -> None:
        """Say once per connection how beat works.

        SKIP LOCKED waits after all, for a row that has just become another: less than
        `deadlock_timeout`, so that whoever writes definitions is not the one that PostgreSQL ends.
        A batch looks its rows up by their ids: the planner would rather read all of a table, which
        takes longer the more tasks there are.
        """
        with psycopg.Cursor(driver) as cursor:
            cursor.execute(SETTINGS)
        self._prepared = driver

    def now(self) -> datetime:
        """Return PostgreSQL's time."""
        return self.pending_work().now

    def pending_work(self) -> PendingWork:
        """Look at what there is to do, in one round trip."""
        [row] = self._ask(PENDING_WORK, now=self._clock() if self._clock else None)
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
        """Store where tasks stand that were planned."""
        if not planned:
            return
        self._do(
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
        """Lock tasks that are due and that nobody else has locked, within the transaction."""
        due_at, task_id = after or THE_FIRST
        rows = self._ask(NEXT_DUE, now=now, due_at=due_at, task_id=task_id, limit=limit)
        return [DueTask._make(row) for row in rows]

    def lock_one(self, task_id: int, now: datetime) -> list[DueTask]:
        """Lock one task if it is still due."""
        rows = self._ask(ONE_DUE, now=now, task_id=task_id, limit=1)
        return [DueTask._make(row) for row in rows]

    def write_claim(
        self, scheduled: Sequence[ScheduledRun], advances: Sequence[Advance], *, now: datetime
    ) -> tuple[set[str], int]:
        """Add runs that are to be published, put them out, and say where their tasks stand.

        While PostgreSQL adds the runs, the rest is written down for it.
        """
        with self._pipeline():
            adding = self._send_scheduled(scheduled, now=now) if scheduled else None
            if advances:
                self._send_advances(advances)
            added = dict(adding.fetchall()) if adding else {}
        done = [each.task.id for each in scheduled if each.task.one_off and each.id in added]
        if done:
            self._do(DISABLE, task_ids=array(done))
        return set(added), next(iter(added.values()), 0)

    def _send_scheduled(
        self, scheduled: Sequence[ScheduledRun], *, now: datetime
    ) -> psycopg.Cursor[Any]:
        # Many have the same, and texts of any kind are slow to put into an array.
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
        """Note that the broker has messages, in the transaction that settles their batch.

        Nobody waits for the disk: what a crash of PostgreSQL forgets of this is published again,
        under the same ids.
        """
        with self._pipeline():
            self._send("SET LOCAL synchronous_commit = off")
            if run_ids:
                self._send(CONFIRM.postgresql, now=now, ids=array(run_ids))

    # --- Statements ---------------------------------------------------------------------------

    def _ask(self, statement: str, **values: Any) -> list[Any]:
        """Send a statement, and return its rows."""
        with self._pipeline():
            return self._send(statement, **values).fetchall()

    def _do(self, statement: str, **values: Any) -> None:
        """Send a statement that has no answer."""
        with self._pipeline():
            self._send(statement, **values)

    @contextmanager
    def _pipeline(self) -> Iterator[None]:
        """Send statements without waiting for the answer to each; errors are Django's.

        In a transaction alone, whose BEGIN goes along: one statement by itself gains nothing.
        """
        connection.ensure_connection()
        driver: psycopg.Connection[Any] = connection.connection
        with connection.wrap_database_errors:
            if driver is not self._prepared:
                self._prepare(driver)
            with driver.pipeline() if connection.in_atomic_block else nullcontext():
                yield

    def _send(self, statement: str, **values: Any) -> psycopg.Cursor[Any]:
        """Send a statement past Django's cursor, which would put the values into its text."""
        cursor = psycopg.Cursor(connection.connection)
        # In binary, since Django reads moments that are sent as text, by Python.
        return cursor.execute(statement, values, binary=True)
