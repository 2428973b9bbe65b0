"""The fast versions of some writes of a run's state, as SQL.

Django takes longer to build these statements than the database to run them. Each is registered
beside its ORM version (`Transition.sql` in `runs.transitions`, `new_run` in `runs.creation`), and
a test holds both to the same rows and columns.
"""

from dataclasses import dataclass

from scheduler_api.runs.models import LEASE


@dataclass(frozen=True, kw_only=True)
class FastSql:
    """The text of a statement on PostgreSQL and, if it is used there, on other databases.

    Values are written as `%(name)s`. Either text may leave out values that the other one has.
    """

    name: str
    postgresql: str
    others: str = ""


_START = """
UPDATE scheduler_api_run
SET state = 'running', started_at = %(at)s, finished_at = NULL, lease_until = {lease_until},
    worker = %(worker)s, attempts = attempts + 1, reason = ''
WHERE id = %(id)s AND state IN ('pending', 'queued', 'lost') AND started_at IS NULL
RETURNING EXISTS (
    SELECT 1 FROM scheduler_api_failurestreak AS streak
    WHERE streak.periodic_task_id = scheduler_api_run.periodic_task_id
)
"""
# Returns whether earlier runs of the periodic task failed. Leases go by the database's clock.
START = FastSql(
    name="start_run",
    postgresql=_START.format(lease_until=f"statement_timestamp() + interval '{LEASE}'"),
    others=_START.format(lease_until="%(lease_until)s"),
)

_SUCCEED = """
UPDATE scheduler_api_run
SET state = 'succeeded', reason = '', finished_at = %(at)s, lease_until = NULL,
    result = %(result)s, is_result_truncated = %(is_result_truncated)s,
    error_type = '', error_message = '', traceback = ''
WHERE id = %(id)s AND started_at = %(started_at)s
    AND state IN ('pending', 'queued', 'running', 'lost')
RETURNING {done}
"""
# It need not be on the disk before the next run starts: the recorder repeats the writes of the
# last seconds after a crash of PostgreSQL.
SUCCEED = FastSql(
    name="end_run_well",
    postgresql=_SUCCEED.format(done="set_config('synchronous_commit', 'off', true) = 'off'"),
    others=_SUCCEED.format(done="true"),
)

# By the ids, one after the other: statistics that are older than a batch promise that hardly any
# run is pending, and a join would then compare each run with each id.
CONFIRM = FastSql(
    name="confirm_runs",
    postgresql="""
UPDATE scheduler_api_run
SET queued_at = %(now)s, state = CASE WHEN state = 'pending' THEN 'queued' ELSE state END
WHERE id = ANY (%(ids)s::uuid[]) AND (queued_at IS NULL) IS TRUE
""",
)

# The rows of `new_run` for due slots. Their periodic tasks are locked: this copies what beat read.
INSERT_SCHEDULED = FastSql(
    name="insert_scheduled_runs",
    postgresql="""
    INSERT INTO scheduler_api_run (
        id, periodic_task_id, periodic_task_name, owner_id, task, trigger, slot_at, due_at,
        slot_count, state, reason, is_buffered, created_at, args, kwargs, options, expires_at
    )
    SELECT
        scheduled.id, task.id, task.name, managed.owner_id, task.task, 'schedule',
        scheduled.slot_at, scheduled.due_at, 1, 'pending', '', false, %(now)s,
        coalesce(nullif(task.args, ''), '[]'),
        coalesce(nullif(task.kwargs, ''), '{}'), (%(options)s::text[])[scheduled.chosen],
        (%(expiries)s::timestamptz[])[scheduled.chosen]
    FROM unnest(
        %(ids)s::uuid[], %(task_ids)s::int[], %(slots)s::timestamptz[],
        %(dues)s::timestamptz[], %(chosen)s::int[]
    ) AS scheduled (id, task_id, slot_at, due_at, chosen)
    JOIN django_celery_beat_periodictask AS task ON task.id = scheduled.task_id
    LEFT JOIN scheduler_api_managedtask AS managed ON managed.periodic_task_id = task.id
    ON CONFLICT DO NOTHING
    RETURNING id, periodic_task_id
""",
)
