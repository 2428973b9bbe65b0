"""Writing periodic tasks, each in one transaction."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django_celery_beat.models import PeriodicTask

from scheduler_api.access.audit import Caller, Operation, note
from scheduler_api.http.fields import read_json
from scheduler_api.http.problems import Problem
from scheduler_api.periodic_tasks.models import (
    ManagedTask,
    is_enabled,
    is_paused,
    managed_half,
)
from scheduler_api.periodic_tasks.timing import schedule_row
from scheduler_api.schedules.rows import KINDS, kind_of, reuse, values_of

Labels = Mapping[str, str]

AUDITED_COLUMNS = (
    "name",
    "task",
    "queue",
    "exchange",
    "routing_key",
    "priority",
    "start_time",
    "expires",
    "expire_seconds",
    "one_off",
    "description",
)
AUDITED_OF_PAUSE = ("paused_until", "pause_note")


class NameTaken(Problem):
    """Another periodic task has this name."""

    status_code = 409
    code = "name_taken"
    # Whose it is, and where, is not told: the caller may not see it.
    example = {"detail": "The name 'Import contacts' is taken."}


def follow(task: PeriodicTask, schedule: Any) -> None:
    """Let a periodic task follow a schedule, in memory."""
    for kind in KINDS:
        setattr(task, kind, schedule if kind == kind_of(schedule).name else None)


@transaction.atomic
def create(task: PeriodicTask, *, labels: Labels, by: Caller) -> None:
    """Store a new periodic task, and its schedule unless an equal one is stored already."""
    follow(task, reuse(schedule_row(task)))
    _save(task)
    ManagedTask.objects.create(periodic_task=task, owner=by.account, labels=labels)
    note(Operation.CREATE, task, by=by, after=fields_of(task))


@transaction.atomic
def change(
    before: PeriodicTask, after: PeriodicTask, *, labels: Labels | None = None, by: Caller
) -> None:
    """Store what differs, and nothing else: beat writes other columns of the same row.

    Of a task that is paused, `after.enabled` says what it is to be when it resumes. One that is
    enabled again counts its interval from now on: counted from its last run, long ago, it would be
    overdue and start at once. One that runs once may do so once more.
    """
    fields_before = fields_of(before)
    after.managed = managed = managed_half(before)
    follow(after, reuse(schedule_row(after)))
    if is_paused(before):
        managed.enabled_on_resume, after.enabled = after.enabled, False
    else:
        managed.paused_at = managed.paused_until = None  # ended past the API, if it was not
    if after.enabled and not before.enabled:
        after.last_run_at = None
        if after.one_off:
            after.total_run_count = 0
    changed = [
        field.attname
        for field in PeriodicTask._meta.concrete_fields
        if getattr(before, field.attname) != getattr(after, field.attname)
    ]
    if changed:
        _save(after, columns=[*changed, "date_changed"])
    if labels is not None:
        managed.labels = labels
    if fields_of(after) != fields_before:
        managed.revision += 1  # the caller has locked the row
        managed.save()
    note(Operation.CHANGE, after, by=by, before=fields_before, after=fields_of(after))


@transaction.atomic
def pause(task: PeriodicTask, *, reason: str, until: datetime | None, by: Caller) -> None:
    """Stop future runs, until a moment or a call of `resume`. Those already sent still happen.

    One that is paused already gets the new reason and end.
    """
    fields_before = fields_of(task)
    managed = managed_half(task)
    if not is_paused(task):
        managed.enabled_on_resume = task.enabled
        managed.paused_at = datetime.now(UTC)
        task.enabled = False
        _save(task, columns=["enabled", "date_changed"])
    managed.paused_until, managed.pause_note = until, reason
    if fields_of(task) != fields_before:
        managed.revision += 1
        managed.save()
    note(Operation.PAUSE, task, by=by, before=fields_before, after=fields_of(task))


@transaction.atomic
def resume(task: PeriodicTask, *, by: Caller) -> None:
    """End a pause: slots from now on are served, those that passed meanwhile are not."""
    if not is_paused(task):
        return
    fields_before = fields_of(task)
    managed_half(task).revision += 1
    _end_pause(task, at=datetime.now(UTC))
    note(Operation.RESUME, task, by=by, before=fields_before, after=fields_of(task))


@transaction.atomic
def resume_due(*, at: datetime) -> list[PeriodicTask]:
    """End the pauses whose end has come; return their tasks. Nobody has asked: no revision."""
    paused = PeriodicTask.objects.filter(enabled=False, managed__paused_until__lte=at)
    tasks = list(
        paused.select_related("managed").select_for_update(of=("self",), skip_locked=True)
    )
    for task in tasks:
        until = managed_half(task).paused_until
        assert until is not None
        _end_pause(task, at=until)
    return tasks


def _end_pause(task: PeriodicTask, *, at: datetime) -> None:
    managed = managed_half(task)
    task.enabled = managed.enabled_on_resume
    _save(task, columns=["enabled", "date_changed"])
    managed.paused_at = managed.paused_until = None
    managed.pause_note, managed.resumed_at = "", at
    managed.save()


@transaction.atomic
def delete(task: PeriodicTask, *, by: Caller) -> None:
    """Delete a periodic task. Its schedule stays: others may follow it, or will."""
    note(Operation.DELETE, task, by=by, before=fields_of(task))
    task.delete()


def fields_of(task: PeriodicTask) -> dict[str, object]:
    """Return what the audit tells of a periodic task: all that a caller can set."""
    row = schedule_row(task)
    return {
        **{name: getattr(task, name) for name in AUDITED_COLUMNS},
        "enabled": is_enabled(task),
        "paused": is_paused(task),
        **{name: getattr(managed_half(task), name) for name in AUDITED_OF_PAUSE},
        "schedule": row and {"type": kind_of(row).name, "id": row.pk, **values_of(row)},
        "args": read_json(task.args, list),
        "kwargs": read_json(task.kwargs, dict),
        "headers": read_json(task.headers, dict),
        "labels": managed_half(task).labels,
    }


def _save(task: PeriodicTask, *, columns: Collection[str] | None = None) -> None:
    try:
        with transaction.atomic():
            task.save(update_fields=columns)
    except (ValidationError, IntegrityError) as error:
        if not PeriodicTask.objects.filter(name=task.name).exclude(pk=task.pk).exists():
            raise
        raise NameTaken(f"The name {task.name!r} is taken.") from error
