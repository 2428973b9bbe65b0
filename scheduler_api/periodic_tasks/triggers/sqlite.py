"""The triggers in SQLite's words. Beat looks by itself, each second."""

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

# As Django writes a moment, in UTC; SQLite counts milliseconds.
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
HALF_WRITTEN = """
    UPDATE scheduler_api_agenda SET stale = 1, stale_at = {now}
    WHERE periodic_task_id = {row}.periodic_task_id;
"""
SCHEDULE_WRITTEN = """
    UPDATE scheduler_api_agenda SET stale = 1, stale_at = {now}
    WHERE periodic_task_id IN
        (SELECT id FROM django_celery_beat_periodictask WHERE {kind}_id = NEW.id);
"""
TRIGGERS_THERE = """
SELECT name, sql FROM sqlite_master
WHERE type = 'trigger' AND substr(name, 1, 14) = 'scheduler_api_'
"""


def parts() -> Iterator[Part]:
    """Yield all there is to make, in this order."""
    half_written = HALF_WRITTEN.format(now=NOW, row="NEW")
    task_written = TASK_WRITTEN.format(now=NOW)
    yield _trigger("task_inserted", f"INSERT ON {TASKS}", does=task_written)
    yield _trigger("task_updated", _really_changed(TASKS, TASK_COLUMNS), does=task_written)
    yield _trigger("task_deleted", f"DELETE ON {TASKS}", does=TASK_DELETED)
    yield _trigger(
        "half_inserted", f"INSERT ON {HALVES} WHEN NEW.jitter_seconds > 0", does=half_written
    )
    yield _trigger("half_updated", _really_changed(HALVES, ["jitter_seconds"]), does=half_written)
    yield _trigger(
        "half_deleted",
        f"DELETE ON {HALVES} WHEN OLD.jitter_seconds > 0",
        does=HALF_WRITTEN.format(now=NOW, row="OLD"),
    )
    for kind, table in SCHEDULES.items():
        yield _trigger(
            f"{kind}_updated",
            _really_changed(table, SCHEDULE_COLUMNS[kind]),
            does=SCHEDULE_WRITTEN.format(now=NOW, kind=kind),
        )


def _really_changed(table: str, columns: list[str]) -> str:
    differ = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in columns)
    return f"UPDATE OF {', '.join(columns)} ON {table} WHEN {differ}"


def _trigger(name: str, event: str, *, does: str) -> Part:
    sql = f"CREATE TRIGGER {PREFIX}{name} AFTER {event} BEGIN {does} END"
    return Part(name=f"trigger {PREFIX}{name}", sql=sql, essence=essence_of(sql))


def parts_there(cursor: CursorWrapper) -> dict[str, str]:
    """Return the parts that the database has: name and essence."""
    cursor.execute(TRIGGERS_THERE)
    return {f"trigger {name}": essence_of(sql) for name, sql in cursor.fetchall()}


def drop(cursor: CursorWrapper) -> int:
    """Drop each part that is there; return how many."""
    cursor.execute(TRIGGERS_THERE)
    triggers = cursor.fetchall()
    for name, _ in triggers:
        cursor.execute(f"DROP TRIGGER {name}")
    return len(triggers)


def wake_beat(cursor: CursorWrapper) -> None:
    """Do nothing: beat looks by itself."""
