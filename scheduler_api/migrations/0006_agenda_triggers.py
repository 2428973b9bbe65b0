"""Triggers that keep the agenda: whoever writes a definition, beat learns of it.

The ORM, `update()`, `bulk_create()`, `loaddata`, Django's admin and raw SQL all pass here. A row of
the agenda is made with its periodic task, marked stale when a column of the definition really
changes, and deleted with it, in the writer's own transaction. On PostgreSQL beat is woken, too.
"""

from collections.abc import Iterator
from typing import Any

from django.db import migrations

TASK_COLUMNS = [
    "name",
    "task",
    "interval_id",
    "crontab_id",
    "solar_id",
    "clocked_id",
    "args",
    "kwargs",
    "queue",
    "exchange",
    "routing_key",
    "headers",
    "priority",
    "expires",
    "expire_seconds",
    "one_off",
    "start_time",
    "enabled",
]
SCHEDULE_COLUMNS = {
    "interval": ["every", "period"],
    "crontab": [
        "minute",
        "hour",
        "day_of_month",
        "month_of_year",
        "day_of_week",
        "timezone",
    ],
    "solar": ["event", "latitude", "longitude"],
    "clocked": ["clocked_time"],
}
TASKS = "django_celery_beat_periodictask"

POSTGRES_FUNCTIONS = """
CREATE FUNCTION scheduler_api_task_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO scheduler_api_agenda
        (periodic_task_id, stale, stale_at, timing, failures, last_error, missed_count)
    VALUES (NEW.id, true, clock_timestamp(), '', 0, '', 0)
    ON CONFLICT (periodic_task_id) DO UPDATE SET stale = true, stale_at = EXCLUDED.stale_at;
    NOTIFY scheduler_api_agenda;
    RETURN NULL;
END $$;

CREATE FUNCTION scheduler_api_task_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM scheduler_api_agenda WHERE periodic_task_id = OLD.id;
    RETURN NULL;
END $$;

CREATE FUNCTION scheduler_api_tasks_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM scheduler_api_agenda;
    RETURN NULL;
END $$;

CREATE FUNCTION scheduler_api_half_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE scheduler_api_agenda SET stale = true, stale_at = clock_timestamp()
    WHERE periodic_task_id = NEW.periodic_task_id;
    NOTIFY scheduler_api_agenda;
    RETURN NULL;
END $$;

CREATE TRIGGER scheduler_api_task_inserted AFTER INSERT ON django_celery_beat_periodictask
    FOR EACH ROW EXECUTE FUNCTION scheduler_api_task_written();
CREATE TRIGGER scheduler_api_task_deleted AFTER DELETE ON django_celery_beat_periodictask
    FOR EACH ROW EXECUTE FUNCTION scheduler_api_task_deleted();
CREATE TRIGGER scheduler_api_tasks_truncated AFTER TRUNCATE ON django_celery_beat_periodictask
    FOR EACH STATEMENT EXECUTE FUNCTION scheduler_api_tasks_truncated();
CREATE TRIGGER scheduler_api_half_inserted AFTER INSERT ON scheduler_api_managedtask
    FOR EACH ROW WHEN (NEW.jitter_seconds > 0)
    EXECUTE FUNCTION scheduler_api_half_written();
CREATE TRIGGER scheduler_api_half_updated AFTER UPDATE OF jitter_seconds ON scheduler_api_managedtask
    FOR EACH ROW WHEN (OLD.jitter_seconds IS DISTINCT FROM NEW.jitter_seconds)
    EXECUTE FUNCTION scheduler_api_half_written();
"""
POSTGRES_TASK_UPDATED = """
CREATE TRIGGER scheduler_api_task_updated AFTER UPDATE OF {columns}
    ON django_celery_beat_periodictask
    FOR EACH ROW WHEN (({old}) IS DISTINCT FROM ({new}))
    EXECUTE FUNCTION scheduler_api_task_written();
"""
POSTGRES_SCHEDULE_UPDATED = """
CREATE FUNCTION scheduler_api_{kind}_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE scheduler_api_agenda SET stale = true, stale_at = clock_timestamp()
    FROM django_celery_beat_periodictask AS task
    WHERE task.id = periodic_task_id AND task.{kind}_id = NEW.id;
    NOTIFY scheduler_api_agenda;
    RETURN NULL;
END $$;
CREATE TRIGGER scheduler_api_{kind}_updated AFTER UPDATE OF {columns}
    ON django_celery_beat_{kind}schedule
    FOR EACH ROW WHEN (({old}) IS DISTINCT FROM ({new}))
    EXECUTE FUNCTION scheduler_api_{kind}_written();
"""
POSTGRES_DROP = """
DROP FUNCTION IF EXISTS scheduler_api_task_written, scheduler_api_task_deleted,
    scheduler_api_tasks_truncated, scheduler_api_half_written, scheduler_api_interval_written,
    scheduler_api_crontab_written, scheduler_api_solar_written, scheduler_api_clocked_written
    CASCADE;
"""

# As Django writes a moment, in UTC; SQLite counts milliseconds.
SQLITE_NOW = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
SQLITE_TASK = """
CREATE TRIGGER scheduler_api_task_{event} AFTER {when} ON django_celery_beat_periodictask
{condition}
BEGIN
    INSERT INTO scheduler_api_agenda
        (periodic_task_id, stale, stale_at, timing, failures, last_error, missed_count)
    VALUES (NEW.id, 1, {now}, '', 0, '', 0)
    ON CONFLICT (periodic_task_id) DO UPDATE SET stale = 1, stale_at = excluded.stale_at;
END
"""
SQLITE_TASK_DELETED = """
CREATE TRIGGER scheduler_api_task_deleted AFTER DELETE ON django_celery_beat_periodictask
BEGIN
    DELETE FROM scheduler_api_agenda WHERE periodic_task_id = OLD.id;
END
"""
SQLITE_HALF = """
CREATE TRIGGER scheduler_api_half_{event} AFTER {when} ON scheduler_api_managedtask
WHEN {condition}
BEGIN
    UPDATE scheduler_api_agenda SET stale = 1, stale_at = {now}
    WHERE periodic_task_id = NEW.periodic_task_id;
END
"""
SQLITE_SCHEDULE_UPDATED = """
CREATE TRIGGER scheduler_api_{kind}_updated AFTER UPDATE OF {columns}
    ON django_celery_beat_{kind}schedule
WHEN {differs}
BEGIN
    UPDATE scheduler_api_agenda SET stale = 1, stale_at = {now}
    WHERE periodic_task_id IN
        (SELECT id FROM django_celery_beat_periodictask WHERE {kind}_id = NEW.id);
END
"""

ADOPT = """
INSERT INTO scheduler_api_agenda
    (periodic_task_id, stale, stale_at, timing, failures, last_error, missed_count)
SELECT id, {true}, {now}, '', 0, '', 0 FROM django_celery_beat_periodictask
"""


def row(name: str, columns: list[str]) -> str:
    return ", ".join(f"{name}.{column}" for column in columns)


def differs(columns: list[str]) -> str:
    """Say in SQLite's SQL that the two rows differ in one of the columns."""
    return " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in columns)


def install(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        statements = list(for_postgres())
    else:
        statements = list(for_sqlite())
    for statement in statements:
        schema_editor.execute(statement, params=None)


def for_postgres() -> Iterator[str]:
    yield POSTGRES_FUNCTIONS
    yield POSTGRES_TASK_UPDATED.format(
        columns=", ".join(TASK_COLUMNS), old=row("OLD", TASK_COLUMNS), new=row("NEW", TASK_COLUMNS)
    )
    for kind, columns in SCHEDULE_COLUMNS.items():
        yield POSTGRES_SCHEDULE_UPDATED.format(
            kind=kind, columns=", ".join(columns), old=row("OLD", columns), new=row("NEW", columns)
        )
    yield ADOPT.format(true="true", now="clock_timestamp()")


def for_sqlite() -> Iterator[str]:
    yield SQLITE_TASK.format(event="inserted", when="INSERT", condition="", now=SQLITE_NOW)
    yield SQLITE_TASK.format(
        event="updated",
        when=f"UPDATE OF {', '.join(TASK_COLUMNS)}",
        condition=f"WHEN {differs(TASK_COLUMNS)}",
        now=SQLITE_NOW,
    )
    yield SQLITE_TASK_DELETED
    yield SQLITE_HALF.format(
        event="inserted", when="INSERT", condition="NEW.jitter_seconds > 0", now=SQLITE_NOW
    )
    yield SQLITE_HALF.format(
        event="updated",
        when="UPDATE OF jitter_seconds",
        condition=differs(["jitter_seconds"]),
        now=SQLITE_NOW,
    )
    for kind, columns in SCHEDULE_COLUMNS.items():
        yield SQLITE_SCHEDULE_UPDATED.format(
            kind=kind, columns=", ".join(columns), differs=differs(columns), now=SQLITE_NOW
        )
    yield ADOPT.format(true="1", now=SQLITE_NOW)


def remove(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_DROP, params=None)
        return
    names = ["task_inserted", "task_updated", "task_deleted", "half_inserted", "half_updated"]
    names += [f"{kind}_updated" for kind in SCHEDULE_COLUMNS]
    for name in names:
        schema_editor.execute(f"DROP TRIGGER IF EXISTS scheduler_api_{name}", params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("scheduler_api", "0005_beat_engine"),
    ]
    operations = [migrations.RunPython(install, remove)]
