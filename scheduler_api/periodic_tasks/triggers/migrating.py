"""Migrations and the triggers: taken off before, put in after.

A database does not let a migration of django-celery-beat pass the triggers. PostgreSQL refuses to
change the type of a column that one names, and drops the trigger with the column. SQLite, where
Django changes a table by making it anew, drops its triggers, and refuses to rename the new table
while another trigger names it.
"""

from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.signals import post_migrate, pre_migrate

from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.periodic_tasks.triggers.installation import (
    DIALECTS,
    faults_of,
    install,
    remove,
)

logger = EventLogger(__name__)

# The apps whose migrations the triggers may stand in the way of. On PostgreSQL those of our own
# tables pass, but for `jitter_seconds`: each of our releases would have all tasks planned anew.
STANDS_IN_THE_WAY_OF = {
    "postgresql": {"django_celery_beat"},
    "sqlite": {"django_celery_beat", "scheduler_api"},
}
WANTED_FROM = ("scheduler_api", "0003_agenda_triggers")


def connect(sender: object) -> None:
    """Follow the migrations; `sender` is our app's configuration."""
    pre_migrate.connect(make_way, sender=sender)
    post_migrate.connect(ensure, sender=sender)


def make_way(*, using: str, plan: list[tuple[Migration, bool]] | None = None, **_: Any) -> None:
    """Take the triggers off before a migration that they may stand in the way of."""
    connection = connections[using]
    apps = {migration.app_label for migration, _ in plan or []}
    if apps & STANDS_IN_THE_WAY_OF.get(connection.vendor, set()) and remove(connection):
        logger.info(
            LogEvent.TRIGGERS_REMOVED,
            "Removed the agenda's triggers until the migrations are done.",
        )


def ensure(*, using: str, **_: Any) -> None:
    """Put the triggers in where they are missing or different, and mark each task then."""
    connection = connections[using]
    if not is_wanted(connection):
        return
    faults = faults_of(connection)
    if faults:
        install(connection)
        logger.info(
            LogEvent.TRIGGERS_INSTALLED,
            "Installed the agenda's triggers and marked every task as stale: %(missing)d were "
            "missing, %(different)d different.",
            missing=len(faults.missing),
            different=len(faults.different),
        )


def is_wanted(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether a database is one of ours, and migrated so far."""
    recorder = MigrationRecorder(connection)
    return connection.vendor in DIALECTS and WANTED_FROM in recorder.applied_migrations()
