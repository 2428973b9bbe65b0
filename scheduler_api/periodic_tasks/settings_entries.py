"""Synchronization of CELERY_BEAT_SCHEDULE with the stored periodic tasks."""

from collections.abc import Collection
from typing import Any

from celery import Celery
from celery.schedules import crontab
from django.db import InterfaceError, OperationalError, transaction
from django_celery_beat.models import PeriodicTask

from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.periodic_tasks.models import ManagedTask, managed_settings
from scheduler_api.periodic_tasks.settings_entry import SettingsEntry, ignored_parts

ManagedBy = ManagedTask.ManagedBy
# As in django_celery_beat.schedulers.DatabaseScheduler.install_default_entries.
CLEANUP_ENTRY: dict[str, Any] = {
    "task": "celery.backend_cleanup",
    "schedule": crontab(minute="0", hour="4"),
    "options": {"expire_seconds": 12 * 3600},
}
logger = EventLogger(__name__)


def entries_of(app: Celery) -> dict[str, dict[str, Any]]:
    """Return the entries of the settings by name, with the one that Celery adds itself."""
    entries: dict[str, dict[str, Any]] = dict(app.conf.beat_schedule)
    if app.conf.result_expires:
        entries.setdefault("celery.backend_cleanup", CLEANUP_ENTRY)
    return entries


def store_entries(app: Celery) -> None:
    """Store the entries of the settings as periodic tasks, and mark them as managed.

    An entry that cannot be stored is logged, and the others are stored nevertheless. Parts that
    beat ignores are logged, too. A removed entry is disabled; the stock scheduler would keep
    running it.
    """
    entries = entries_of(app)
    for name, entry in entries.items():
        try:
            with transaction.atomic():
                SettingsEntry.from_entry(name, app=app, **entry)
            ignored = list(ignored_parts(entry))
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - the cause is an entry in the settings
            logger.error(  # noqa: TRY400
                LogEvent.SETTINGS_ENTRY_REFUSED,
                "CELERY_BEAT_SCHEDULE: %(entry)s cannot be stored: %(error)s",
                entry=name,
                error=in_one_line(error),
            )
            continue
        if ignored:
            logger.warning(
                LogEvent.SETTINGS_ENTRY_PARTS_IGNORED,
                "CELERY_BEAT_SCHEDULE: beat ignores %(parts)s of %(entry)s",
                entry=name,
                parts=", ".join(ignored),
            )
    mark_managed(entries.keys())
    for task in disable_removed(entries.keys()):
        logger.info(
            LogEvent.SETTINGS_ENTRY_DISABLED,
            "Disabling %(periodic_task)s: CELERY_BEAT_SCHEDULE no longer names it",
            periodic_task_id=task.pk,
            periodic_task=task.name,
        )


@transaction.atomic
def mark_managed(names: Collection[str]) -> None:
    """Mark the periodic tasks with these names as managed by the settings.

    A task whose entry was removed earlier and is back is enabled again.
    """
    tasks = PeriodicTask.objects.select_related("managed").filter(name__in=names)
    for task in tasks.exclude(managed__managed_by=ManagedBy.SETTINGS):
        managed = managed_settings(task)
        if not managed._state.adding and managed.owner_id is None:
            _switch(task, managed, on=True)
        managed.managed_by = ManagedBy.SETTINGS
        managed.save()


@transaction.atomic
def disable_removed(names: Collection[str]) -> list[PeriodicTask]:
    """Disable and return the periodic tasks whose entry was removed from the settings."""
    tasks = PeriodicTask.objects.select_related("managed").select_for_update(
        of=("self",), no_key=True
    )
    removed = list(tasks.filter(managed__managed_by=ManagedBy.SETTINGS).exclude(name__in=names))
    for task in removed:
        managed = managed_settings(task)
        _switch(task, managed, on=False)
        managed.managed_by = ManagedBy.ADMIN
        managed.save()
    return removed


def _switch(task: PeriodicTask, managed: ManagedTask, *, on: bool) -> None:
    """Enable or disable a task; a paused task gets the new value when it resumes."""
    managed.enabled_on_resume = on
    if managed.paused_at is None and task.enabled != on:
        task.enabled = on
        task.save(update_fields=["enabled", "date_changed"])
