"""Install, remove and check the triggers of a database."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from scheduler_api.periodic_tasks.triggers import postgresql, sqlite
from scheduler_api.periodic_tasks.triggers.parts import Part

ADD_MISSING = """
INSERT INTO scheduler_api_agenda
    (periodic_task_id, stale, stale_at, timing_digest, failures, last_error, missed_count)
SELECT id, {true}, {now}, '', 0, '', 0 FROM django_celery_beat_periodictask AS task
WHERE NOT EXISTS (SELECT 1 FROM scheduler_api_agenda WHERE periodic_task_id = task.id)
ON CONFLICT (periodic_task_id) DO NOTHING
"""
MARK_ALL_STALE = """
UPDATE scheduler_api_agenda SET stale = {true}, stale_at = {now}
"""
DELETE_ORPHANS = """
DELETE FROM scheduler_api_agenda
WHERE NOT EXISTS (SELECT 1 FROM django_celery_beat_periodictask WHERE id = periodic_task_id)
"""


class Dialect(Protocol):
    """A module with the triggers of one database system."""

    NOW: str
    TRUE: str

    def parts(self) -> Iterator[Part]:
        """Yield the triggers and functions to create, in this order."""

    def installed_parts(self, cursor: CursorWrapper) -> dict[str, str]:
        """Return the normalized SQL of the installed parts by name."""

    def drop(self, cursor: CursorWrapper) -> int:
        """Drop every installed part; return how many there were."""

    def wake_beat(self, cursor: CursorWrapper) -> None:
        """Wake beat, so that it plans stale tasks."""


DIALECTS: dict[str, Dialect] = {"postgresql": postgresql, "sqlite": sqlite}


@dataclass(frozen=True, kw_only=True)
class TriggerFaults:
    """The names of triggers and functions that are missing or differ from ours."""

    missing: list[str]
    different: list[str]

    def __bool__(self) -> bool:
        return bool(self.missing or self.different)


def faults_of(connection: BaseDatabaseWrapper) -> TriggerFaults:
    """Return the parts that are missing, differ from ours or are disabled."""
    dialect = DIALECTS[connection.vendor]
    with connection.cursor() as cursor:
        installed = dialect.installed_parts(cursor)
    wanted = {part.name: part.normalized_sql for part in dialect.parts()}
    different = {
        name for name, normalized_sql in installed.items() if normalized_sql != wanted.get(name)
    }
    return TriggerFaults(
        missing=sorted(wanted.keys() - installed.keys()), different=sorted(different)
    )


def install(connection: BaseDatabaseWrapper) -> None:
    """Reinstall all triggers and mark every task stale, as changes without them went unseen.

    One transaction in this order misses no write: earlier ones are marked, later ones fire a
    trigger.
    """
    dialect = DIALECTS[connection.vendor]
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        dialect.drop(cursor)
        for part in dialect.parts():
            cursor.execute(part.sql)
        cursor.execute(MARK_ALL_STALE.format(true=dialect.TRUE, now=dialect.NOW))
        add_missing_rows(connection)
        delete_orphaned_rows(connection)
        dialect.wake_beat(cursor)


def add_missing_rows(connection: BaseDatabaseWrapper) -> None:
    """Insert a stale agenda row for each periodic task without one."""
    dialect = DIALECTS[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(ADD_MISSING.format(true=dialect.TRUE, now=dialect.NOW))


def delete_orphaned_rows(connection: BaseDatabaseWrapper) -> None:
    """Delete the agenda rows of deleted periodic tasks."""
    with connection.cursor() as cursor:
        cursor.execute(DELETE_ORPHANS)


def remove(connection: BaseDatabaseWrapper) -> int:
    """Remove all triggers, those of other versions included; return how many parts there were."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        return DIALECTS[connection.vendor].drop(cursor)


def wake_beat(connection: BaseDatabaseWrapper) -> None:
    """Wake beat on PostgreSQL; on SQLite, beat looks every second by itself."""
    with connection.cursor() as cursor:
        DIALECTS[connection.vendor].wake_beat(cursor)
