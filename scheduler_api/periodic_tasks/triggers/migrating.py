"""Remove the triggers before a migration that they would block, and install them afterwards.

The triggers block migrations of django-celery-beat. PostgreSQL refuses to change the type of a
column that a trigger names, and drops the trigger with the column. On SQLite, where Django changes
a table by rebuilding it, the database drops the table's triggers, and refuses to rename the new
table while another trigger names it.
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

# The apps with migrations that the triggers may block. On PostgreSQL, migrations of our own tables
# pass, except for `jitter_seconds`; removing the triggers would replan all tasks at each release.
BLOCKED_APPS = {
    "postgresql": {"django_celery_beat"},
    "sqlite": {"django_celery_beat", "scheduler_api"},
}
FIRST_MIGRATION = ("scheduler_api", "0003_agenda_triggers")


def connect(sender: object) -> None:
    """Connect to the migration signals; `sender` is our app's configuration."""
    pre_migrate.connect(remove_for_migration, sender=sender)
    post_migrate.connect(ensure_installed, sender=sender)


def remove_for_migration(
    *, using: str, plan: list[tuple[Migration, bool]] | None = None, **_: Any
) -> None:
    """Remove the triggers before a migration that they may block."""
    connection = connections[using]
    apps = {migration.app_label for migration, _ in plan or []}
    if apps & BLOCKED_APPS.get(connection.vendor, set()) and remove(connection):
        logger.info(
            LogEvent.TRIGGERS_REMOVED,
            "Removed the agenda's triggers until the migrations are done.",
        )


def ensure_installed(*, using: str, **_: Any) -> None:
    """Install the triggers if any is missing or different; all tasks are then marked stale."""
    connection = connections[using]
    if not has_agenda(connection):
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


def has_agenda(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a database is supported and has the agenda's tables."""
    recorder = MigrationRecorder(connection)
    return connection.vendor in DIALECTS and FIRST_MIGRATION in recorder.applied_migrations()
