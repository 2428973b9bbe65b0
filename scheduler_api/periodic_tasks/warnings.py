"""Warnings about a valid periodic task: why it does not run, or not as it is defined."""

from collections.abc import Iterator
from datetime import UTC, datetime

from celery import current_app
from django_celery_beat.models import PeriodicTask

from scheduler_api.http.fields import in_utc
from scheduler_api.http.problems import Mistake
from scheduler_api.periodic_tasks.agenda import agenda_of
from scheduler_api.periodic_tasks.models import (
    ManagedTask,
    end_of_pause,
    is_enabled,
    managed_settings,
)
from scheduler_api.periodic_tasks.settings_entries import entries_of
from scheduler_api.periodic_tasks.settings_entry import ignored_parts
from scheduler_api.periodic_tasks.slots import next_run_at


def warnings_about_runs(task: PeriodicTask) -> Iterator[Mistake]:
    """Yield why a task will not run: it is in quarantine, or its moment has passed."""
    if error := agenda_of(task).last_error:
        yield Mistake(pointer="", code="quarantined", detail=f"Beat cannot send it: {error}")
    if task.clocked is None or not is_enabled(task) or next_run_at(task):
        return
    moment = task.clocked.clocked_time
    if moment <= datetime.now(UTC):
        reason = f"Its moment, {in_utc(moment)}, has passed"
    elif end_of_pause(task):
        reason = f"Its moment, {in_utc(moment)}, is before the end of its pause"
    else:
        return
    yield Mistake(
        pointer="/schedule",
        code="moment_passed",
        detail=f"{reason}, so it will not run: choose a later clocked_time, or run it now.",
    )


def warnings_about_edit(name: str) -> Iterator[Mistake]:
    """Yield that the next start of beat undoes an edit of an entry of the settings."""
    if name in entries_of(current_app):
        yield Mistake(
            pointer="",
            code="overwritten_by_settings",
            detail="CELERY_BEAT_SCHEDULE has an entry of this name: the next start of beat sets "
            "task, schedule, arguments and options again. Change them there.",
        )


def warnings_about_entry(task: PeriodicTask) -> list[Mistake]:
    """Return a warning for each part of the task's entry in the settings that beat ignores."""
    if managed_settings(task).managed_by != ManagedTask.ManagedBy.SETTINGS:
        return []
    entry = current_app.conf.beat_schedule.get(task.name, {})
    return [
        Mistake(
            pointer="",
            code="ignored_setting",
            detail=f"CELERY_BEAT_SCHEDULE sets {part}, which a periodic task cannot have: beat "
            "ignores it.",
        )
        for part in ignored_parts(entry)
    ]
