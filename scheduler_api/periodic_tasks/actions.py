"""Writing periodic tasks, each in one transaction."""

from collections.abc import Collection, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django_celery_beat.models import PeriodicTask

from scheduler_api.access.audit import Caller, Operation, note
from scheduler_api.http.fields import read_json
from scheduler_api.http.problems import Problem
from scheduler_api.periodic_tasks.models import ManagedTask, managed_half
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
    "enabled",
    "description",
)


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

    A task that is enabled again counts its interval from now on. Counted from its last run,
    long ago, it would be overdue and start at once. One that runs once may do so once more.
    """
    fields_before = fields_of(before)
    follow(after, reuse(schedule_row(after)))
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
    managed = managed_half(before)
    if labels is None:
        labels = managed.labels
    if changed or labels != managed.labels:
        managed.labels = labels
        managed.revision += 1  # the caller has locked the row
        managed.save()
    fields_after = {**fields_of(after), "labels": labels}
    note(Operation.CHANGE, after, by=by, before=fields_before, after=fields_after)


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
