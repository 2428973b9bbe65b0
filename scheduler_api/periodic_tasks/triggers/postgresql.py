"""The triggers for PostgreSQL.

The functions run with the privileges and the search path of the user that ran the migrations. So a
writer needs no privileges on the agenda, and `pg_restore`, which empties the search path, works as
any other writer.

A transaction that changes several tasks in ascending order of id causes no deadlock: the triggers
lock agenda rows in that order, too. Beat skips locked rows, but SKIP LOCKED can still wait: for a
row that was changed, committed, and changed again since the statement began. So beat needs a
`lock_timeout` below PostgreSQL's `deadlock_timeout`, or PostgreSQL may abort the writer instead.
"""

from collections.abc import Iterator

from django.db.backends.utils import CursorWrapper

from scheduler_api.periodic_tasks.triggers.parts import (
    MANAGED_TASKS,
    PREFIX,
    SCHEDULE_COLUMNS,
    SCHEDULES,
    TASK_COLUMNS,
    TASKS,
    Part,
    normalize,
)

NOW = "clock_timestamp()"
TRUE = "true"
CHANNEL = "scheduler_api_agenda"

FUNCTION = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
{body}
    RETURN NULL;
END $$
"""
# An uncommitted change of the schedule does not see a task that is switched to this schedule now,
# so the two must wait for each other. The OLD row of an INSERT is null.
WAIT_FOR_SCHEDULE = """
    IF NEW.{kind}_id IS DISTINCT FROM OLD.{kind}_id THEN
        PERFORM 1 FROM {table} WHERE id = NEW.{kind}_id FOR SHARE;
    END IF;
"""
TASK_WRITTEN = """
    INSERT INTO scheduler_api_agenda
        (periodic_task_id, stale, stale_at, timing_digest, failures, last_error, missed_count)
    VALUES (NEW.id, true, clock_timestamp(), '', 0, '', 0)
    ON CONFLICT (periodic_task_id) DO UPDATE SET stale = true, stale_at = EXCLUDED.stale_at;
    NOTIFY scheduler_api_agenda;
"""
TASK_DELETED = """
    DELETE FROM scheduler_api_agenda WHERE periodic_task_id = OLD.id;
"""
TASKS_TRUNCATED = """
    DELETE FROM scheduler_api_agenda;
"""
MANAGED_TASK_WRITTEN = """
    UPDATE scheduler_api_agenda SET stale = true, stale_at = clock_timestamp()
    WHERE periodic_task_id = coalesce(NEW.periodic_task_id, OLD.periodic_task_id);
    NOTIFY scheduler_api_agenda;
"""
SCHEDULE_WRITTEN = """
    PERFORM 1 FROM scheduler_api_agenda AS agenda
    JOIN django_celery_beat_periodictask AS task ON task.id = agenda.periodic_task_id
    WHERE task.{kind}_id = NEW.id
    ORDER BY agenda.periodic_task_id FOR NO KEY UPDATE OF agenda;
    UPDATE scheduler_api_agenda AS agenda SET stale = true, stale_at = clock_timestamp()
    FROM django_celery_beat_periodictask AS task
    WHERE task.id = agenda.periodic_task_id AND task.{kind}_id = NEW.id;
    NOTIFY scheduler_api_agenda;
"""

INSTALLED_FUNCTIONS = """
SELECT proname, prosrc, CASE WHEN prosecdef THEN '' ELSE ' without SECURITY DEFINER' END
FROM pg_proc WHERE starts_with(proname, 'scheduler_api_') AND pg_function_is_visible(oid)
"""
INSTALLED_TRIGGERS = """
SELECT tgname, relname, pg_get_triggerdef(pg_trigger.oid),
    CASE WHEN tgenabled IN ('O', 'A') THEN '' ELSE ' disabled' END
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE starts_with(tgname, 'scheduler_api_') AND NOT tgisinternal AND pg_table_is_visible(tgrelid)
"""


def parts() -> Iterator[Part]:
    """Yield the triggers and functions to create, in this order."""
    waits = (WAIT_FOR_SCHEDULE.format(kind=kind, table=table) for kind, table in SCHEDULES.items())
    yield _function("task_written", "".join(waits) + TASK_WRITTEN)
    yield _function("task_deleted", TASK_DELETED)
    yield _function("tasks_truncated", TASKS_TRUNCATED)
    yield _function("managed_task_written", MANAGED_TASK_WRITTEN)
    for kind in SCHEDULES:
        yield _function(f"{kind}_written", SCHEDULE_WRITTEN.format(kind=kind))
    yield _trigger("task_inserted", f"INSERT ON {TASKS} FOR EACH ROW", calls="task_written")
    yield _trigger("task_updated", _changed(TASKS, TASK_COLUMNS), calls="task_written")
    yield _trigger("task_deleted", f"DELETE ON {TASKS} FOR EACH ROW", calls="task_deleted")
    yield _trigger(
        "tasks_truncated", f"TRUNCATE ON {TASKS} FOR EACH STATEMENT", calls="tasks_truncated"
    )
    yield _trigger(
        "managed_task_inserted",
        f"INSERT ON {MANAGED_TASKS} FOR EACH ROW WHEN (NEW.jitter_seconds > 0)",
        calls="managed_task_written",
    )
    yield _trigger(
        "managed_task_updated",
        _changed(MANAGED_TASKS, ["jitter_seconds"]),
        calls="managed_task_written",
    )
    yield _trigger(
        "managed_task_deleted",
        f"DELETE ON {MANAGED_TASKS} FOR EACH ROW WHEN (OLD.jitter_seconds > 0)",
        calls="managed_task_written",
    )
    for kind, table in SCHEDULES.items():
        yield _trigger(
            f"{kind}_updated",
            _changed(table, SCHEDULE_COLUMNS[kind]),
            calls=f"{kind}_written",
        )


def _changed(table: str, columns: list[str]) -> str:
    differ = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)
    return f"UPDATE OF {', '.join(columns)} ON {table} FOR EACH ROW WHEN ({differ})"


def _function(name: str, body: str) -> Part:
    sql = FUNCTION.format(name=PREFIX + name, body=body)
    source = sql.split("$$")[1]
    return Part(name=f"function {PREFIX}{name}", sql=sql, normalized_sql=normalize(source))


def _trigger(name: str, event: str, *, calls: str) -> Part:
    sql = f"CREATE TRIGGER {PREFIX}{name} AFTER {event} EXECUTE FUNCTION {PREFIX}{calls}()"
    return Part(name=f"trigger {PREFIX}{name}", sql=sql, normalized_sql=normalize(sql))


def installed_parts(cursor: CursorWrapper) -> dict[str, str]:
    """Return the normalized SQL of the installed parts by name."""
    cursor.execute(INSTALLED_FUNCTIONS)
    functions = {
        f"function {name}": normalize(source) + flaw for name, source, flaw in cursor.fetchall()
    }
    cursor.execute(INSTALLED_TRIGGERS)
    triggers = {
        f"trigger {name}": normalize(definition) + flaw
        for name, _, definition, flaw in cursor.fetchall()
    }
    return functions | triggers


def drop(cursor: CursorWrapper) -> int:
    """Drop every installed part; return how many there were."""
    cursor.execute(INSTALLED_TRIGGERS)
    triggers = cursor.fetchall()
    for name, table, *_ in triggers:
        cursor.execute(f"DROP TRIGGER {name} ON {table}")
    cursor.execute(INSTALLED_FUNCTIONS)
    functions = cursor.fetchall()
    for name, *_ in functions:
        cursor.execute(f"DROP FUNCTION {name}()")
    return len(triggers) + len(functions)


def wake_beat(cursor: CursorWrapper) -> None:
    """Wake beat, as the triggers do."""
    cursor.execute(f"NOTIFY {CHANNEL}")
