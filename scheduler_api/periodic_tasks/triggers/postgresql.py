"""The triggers in PostgreSQL's words.

The functions run with the rights and the search path of whoever migrated: so a writer needs no
right to the agenda, and `pg_restore`, which empties the search path, is a writer like any other.

Who changes several tasks in a transaction by ascending id meets no deadlock here: a trigger takes
the rows of the agenda in that order, too. Beat skips rows that are locked, but SKIP LOCKED is no
promise: it waits where a row was changed, committed, and changed again since the statement began.
So beat needs a `lock_timeout` below PostgreSQL's `deadlock_timeout`, which ends a writer as well.
"""

from collections.abc import Iterator

from django.db.backends.utils import CursorWrapper

from scheduler_api.periodic_tasks.triggers.parts import (
    HALVES,
    PREFIX,
    SCHEDULE_COLUMNS,
    SCHEDULES,
    TASK_COLUMNS,
    TASKS,
    Part,
    essence_of,
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
# A change of the schedule that is not committed yet has not seen a task that only now follows it:
# neither may pass the other. The OLD row of an INSERT is null.
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
HALF_WRITTEN = """
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

FUNCTIONS_THERE = """
SELECT proname, prosrc, CASE WHEN prosecdef THEN '' ELSE ' without rights' END
FROM pg_proc WHERE starts_with(proname, 'scheduler_api_') AND pg_function_is_visible(oid)
"""
TRIGGERS_THERE = """
SELECT tgname, relname, pg_get_triggerdef(pg_trigger.oid),
    CASE WHEN tgenabled IN ('O', 'A') THEN '' ELSE ' disabled' END
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE starts_with(tgname, 'scheduler_api_') AND NOT tgisinternal AND pg_table_is_visible(tgrelid)
"""


def parts() -> Iterator[Part]:
    """Yield all there is to make, in this order."""
    waits = (WAIT_FOR_SCHEDULE.format(kind=kind, table=table) for kind, table in SCHEDULES.items())
    yield _function("task_written", "".join(waits) + TASK_WRITTEN)
    yield _function("task_deleted", TASK_DELETED)
    yield _function("tasks_truncated", TASKS_TRUNCATED)
    yield _function("half_written", HALF_WRITTEN)
    for kind in SCHEDULES:
        yield _function(f"{kind}_written", SCHEDULE_WRITTEN.format(kind=kind))
    yield _trigger("task_inserted", f"INSERT ON {TASKS} FOR EACH ROW", calls="task_written")
    yield _trigger("task_updated", _really_changed(TASKS, TASK_COLUMNS), calls="task_written")
    yield _trigger("task_deleted", f"DELETE ON {TASKS} FOR EACH ROW", calls="task_deleted")
    yield _trigger(
        "tasks_truncated", f"TRUNCATE ON {TASKS} FOR EACH STATEMENT", calls="tasks_truncated"
    )
    yield _trigger(
        "half_inserted",
        f"INSERT ON {HALVES} FOR EACH ROW WHEN (NEW.jitter_seconds > 0)",
        calls="half_written",
    )
    yield _trigger(
        "half_updated", _really_changed(HALVES, ["jitter_seconds"]), calls="half_written"
    )
    yield _trigger(
        "half_deleted",
        f"DELETE ON {HALVES} FOR EACH ROW WHEN (OLD.jitter_seconds > 0)",
        calls="half_written",
    )
    for kind, table in SCHEDULES.items():
        yield _trigger(
            f"{kind}_updated",
            _really_changed(table, SCHEDULE_COLUMNS[kind]),
            calls=f"{kind}_written",
        )


def _really_changed(table: str, columns: list[str]) -> str:
    differ = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)
    return f"UPDATE OF {', '.join(columns)} ON {table} FOR EACH ROW WHEN ({differ})"


def _function(name: str, body: str) -> Part:
    sql = FUNCTION.format(name=PREFIX + name, body=body)
    source = sql.split("$$")[1]
    return Part(name=f"function {PREFIX}{name}", sql=sql, essence=essence_of(source))


def _trigger(name: str, event: str, *, calls: str) -> Part:
    sql = f"CREATE TRIGGER {PREFIX}{name} AFTER {event} EXECUTE FUNCTION {PREFIX}{calls}()"
    return Part(name=f"trigger {PREFIX}{name}", sql=sql, essence=essence_of(sql))


def parts_there(cursor: CursorWrapper) -> dict[str, str]:
    """Return the parts that the database has: name and essence."""
    cursor.execute(FUNCTIONS_THERE)
    functions = {
        f"function {name}": essence_of(source) + flaw for name, source, flaw in cursor.fetchall()
    }
    cursor.execute(TRIGGERS_THERE)
    triggers = {
        f"trigger {name}": essence_of(definition) + flaw
        for name, _, definition, flaw in cursor.fetchall()
    }
    return functions | triggers


def drop(cursor: CursorWrapper) -> int:
    """Drop each part that is there; return how many."""
    cursor.execute(TRIGGERS_THERE)
    triggers = cursor.fetchall()
    for name, table, *_ in triggers:
        cursor.execute(f"DROP TRIGGER {name} ON {table}")
    cursor.execute(FUNCTIONS_THERE)
    functions = cursor.fetchall()
    for name, *_ in functions:
        cursor.execute(f"DROP FUNCTION {name}()")
    return len(triggers) + len(functions)


def wake_beat(cursor: CursorWrapper) -> None:
    """Have beat look at what is stale, as the triggers do."""
    cursor.execute(f"NOTIFY {CHANNEL}")
