"""Putting the triggers into a database, taking them off, and telling what is missing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from scheduler_api.periodic_tasks.triggers import postgresql, sqlite
from scheduler_api.periodic_tasks.triggers.parts import Part

ADOPT = """
INSERT INTO scheduler_api_agenda
    (periodic_task_id, stale, stale_at, timing_digest, failures, last_error, missed_count)
SELECT id, {true}, {now}, '', 0, '', 0 FROM django_celery_beat_periodictask AS task
WHERE NOT EXISTS (SELECT 1 FROM scheduler_api_agenda WHERE periodic_task_id = task.id)
ON CONFLICT (periodic_task_id) DO NOTHING
"""
MARK = """
UPDATE scheduler_api_agenda SET stale = {true}, stale_at = {now}
"""
FORGET = """
DELETE FROM scheduler_api_agenda
WHERE NOT EXISTS (SELECT 1 FROM django_celery_beat_periodictask WHERE id = periodic_task_id)
"""


class Dialect(Protocol):
    """A module with the triggers in the words of one database."""

    NOW: str
    TRUE: str

    def parts(self) -> Iterator[Part]:
        """Yield all there is to make, in this order."""

    def parts_there(self, cursor: CursorWrapper) -> dict[str, str]:
        """Return the parts that the database has: name and essence."""

    def drop(self, cursor: CursorWrapper) -> int:
        """Drop each part that is there; return how many."""

    def wake_beat(self, cursor: CursorWrapper) -> None:
        """Have beat look at what is stale."""


DIALECTS: dict[str, Dialect] = {"postgresql": postgresql, "sqlite": sqlite}


@dataclass(frozen=True, kw_only=True)
class Faults:
    """The names of triggers and functions that are not as they should be."""

    missing: list[str]
    different: list[str]

    def __bool__(self) -> bool:
        return bool(self.missing or self.different)


def faults_of(connection: BaseDatabaseWrapper) -> Faults:
    """Tell which parts a database lacks, and which of them are not ours or are disabled."""
    dialect = DIALECTS[connection.vendor]
    with connection.cursor() as cursor:
        there = dialect.parts_there(cursor)
    wanted = {part.name: part.essence for part in dialect.parts()}
    different = {name for name, essence in there.items() if essence != wanted.get(name)}
    return Faults(missing=sorted(wanted.keys() - there.keys()), different=sorted(different))


def install(connection: BaseDatabaseWrapper) -> None:
    """Put all triggers in anew, and mark each task: nobody saw what was written without them.

    In one transaction, and in this order: what was written before the triggers is marked, what is
    written after them is seen.
    """
    dialect = DIALECTS[connection.vendor]
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        dialect.drop(cursor)
        for part in dialect.parts():
            cursor.execute(part.sql)
        cursor.execute(MARK.format(true=dialect.TRUE, now=dialect.NOW))
        adopt(connection)
        forget(connection)
        dialect.wake_beat(cursor)


def adopt(connection: BaseDatabaseWrapper) -> None:
    """Give each periodic task that has none a row of the agenda, a stale one."""
    dialect = DIALECTS[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(ADOPT.format(true=dialect.TRUE, now=dialect.NOW))


def forget(connection: BaseDatabaseWrapper) -> None:
    """Delete the rows of the agenda whose periodic task is gone."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET)


def remove(connection: BaseDatabaseWrapper) -> int:
    """Take all triggers off, those of another version, too; return how many parts there were."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        return DIALECTS[connection.vendor].drop(cursor)


def wake_beat(connection: BaseDatabaseWrapper) -> None:
    """Have beat look at what is stale: at once on PostgreSQL, by itself on SQLite."""
    with connection.cursor() as cursor:
        DIALECTS[connection.vendor].wake_beat(cursor)
