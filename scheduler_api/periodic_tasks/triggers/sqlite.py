"""The triggers for SQLite. They cannot wake beat, which looks every second by itself."""

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

# The format in which Django stores datetimes, in UTC; SQLite has milliseconds only.
NOW = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
TRUE = "1"

TASK_WRITTEN = """
    INSERT INTO scheduler_api_agenda
        (periodic_task_id, stale, stale_at, timing_digest, failures, last_error, missed_count)
    VALUES (NEW.id, 1, {now}, '', 0, '', 0)
    ON CONFLICT (periodic_task_id) DO UPDATE SET stale = 1, stale_at = excluded.stale_at;
"""
TASK_DELETED = """
    DELETE FROM scheduler_api_agenda WHERE periodic_task_id = OLD.id;
"""
MANAGED_TASK_WRITTEN = """
    UPDATE scheduler_api_agenda SET stale = 1, stale_at = {now}
    WHERE periodic_task_id = {row}.periodic_task_id;
"""
SCHEDULE_WRITTEN = """
    UPDATE scheduler_api_agenda SET stale = 1, stale_at = {now}
    WHERE periodic_task_id IN
        (SELECT id FROM django_celery_beat_periodictask WHERE {kind}_id = NEW.id);
"""
INSTALLED_TRIGGERS = """
SELECT name, sql FROM sqlite_master
WHERE type = 'trigger' AND substr(name, 1, 14) = 'scheduler_api_'
"""


def parts() -> Iterator[Part]:
    """Yield the triggers and functions to create, in this order."""
    managed_task_written = MANAGED_TASK_WRITTEN.format(now=NOW, row="NEW")
    task_written = TASK_WRITTEN.format(now=NOW)
    yield _trigger("task_inserted", f"INSERT ON {TASKS}", body=task_written)
    yield _trigger("task_updated", _changed(TASKS, TASK_COLUMNS), body=task_written)
    yield _trigger("task_deleted", f"DELETE ON {TASKS}", body=TASK_DELETED)
    yield _trigger(
        "managed_task_inserted",
        f"INSERT ON {MANAGED_TASKS} WHEN NEW.jitter_seconds > 0",
        body=managed_task_written,
    )
    yield _trigger(
        "managed_task_updated",
        _changed(MANAGED_TASKS, ["jitter_seconds"]),
        body=managed_task_written,
    )
    yield _trigger(
        "managed_task_deleted",
        f"DELETE ON {MANAGED_TASKS} WHEN OLD.jitter_seconds > 0",
        body=MANAGED_TASK_WRITTEN.format(now=NOW, row="OLD"),
    )
    for kind, table in SCHEDULES.items():
        yield _trigger(
            f"{kind}_updated",
            _changed(table, SCHEDULE_COLUMNS[kind]),
            body=SCHEDULE_WRITTEN.format(now=NOW, kind=kind),
        )


def _changed(table: str, columns: list[str]) -> str:
    differ = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in columns)
    return f"UPDATE OF {', '.join(columns)} ON {table} WHEN {differ}"


def _trigger(name: str, event: str, *, body: str) -> Part:
    sql = f"CREATE TRIGGER {PREFIX}{name} AFTER {event} BEGIN {body} END"
    return Part(name=f"trigger {PREFIX}{name}", sql=sql, normalized_sql=normalize(sql))


def installed_parts(cursor: CursorWrapper) -> dict[str, str]:
    """Return the normalized SQL of the installed parts by name."""
    cursor.execute(INSTALLED_TRIGGERS)
    return {f"trigger {name}": normalize(sql) for name, sql in cursor.fetchall()}


def drop(cursor: CursorWrapper) -> int:
    """Drop every installed part; return how many there were."""
    cursor.execute(INSTALLED_TRIGGERS)
    triggers = cursor.fetchall()
    for name, _ in triggers:
        cursor.execute(f"DROP TRIGGER {name}")
    return len(triggers)


def wake_beat(cursor: CursorWrapper) -> None:
    """Do nothing: beat looks every second by itself."""
