"""Writes to periodic tasks, each in one transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from scheduler_api.access.audit import Caller, Operation, record_entry, record_new_entries
from scheduler_api.http.fields import read_json
from scheduler_api.http.problems import Problem
from scheduler_api.periodic_tasks.models import (
    POLICIES,
    ManagedTask,
    is_enabled,
    is_paused,
    managed_settings,
)
from scheduler_api.periodic_tasks.quotas import refuse_beyond_quota
from scheduler_api.periodic_tasks.task_schedule import schedule_row
from scheduler_api.schedules.limits import refuse_beyond_limits
from scheduler_api.schedules.tables import KINDS, get_or_store, kind_of, values_of

Labels = Mapping[str, str]
ManagedBy = ManagedTask.ManagedBy

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
AUDITED_PAUSE_COLUMNS = ("paused_until", "pause_note")


class NameTaken(Problem):
    """Another periodic task has this name."""

    status_code = 409
    code = "name_taken"
    # Neither owner nor address is shown: the caller may not be allowed to see that task.
    example = {"detail": "The name 'Import customers' is taken."}


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A validated periodic task, ready to be stored.

    `labels` are None to keep the stored ones. Policies that are absent keep their stored values.
    """

    task: PeriodicTask
    labels: Labels | None = None
    policies: Mapping[str, Any] = field(default_factory=dict)


def set_schedule(task: PeriodicTask, schedule: Any) -> None:
    """Point a periodic task at a schedule row, in memory."""
    for kind in KINDS:
        setattr(task, kind, schedule if kind == kind_of(schedule).name else None)


@transaction.atomic
def create(draft: Draft, *, managed_by: ManagedBy = ManagedBy.API, by: Caller) -> None:
    """Store a new periodic task, and its schedule unless an equal one is already stored."""
    refuse_beyond_quota(by.account, more=1)
    task = draft.task
    set_schedule(task, get_or_store(schedule_row(task)))
    _save(task)
    new_managed_settings(draft, managed_by=managed_by, by=by).save(force_insert=True)
    record_entry(Operation.CREATE, task, by=by, after=fields_of(task))


def create_all(
    drafts: Sequence[Draft], *, managed_by: ManagedBy = ManagedBy.API, by: Caller
) -> None:
    """Store new periodic tasks in a few statements, all or none.

    Equal schedules share a row. The row stays if storing the tasks fails, so that the caller can
    store them one by one next. Django sends no signals for rows stored in bulk.
    """
    rows: dict[tuple[object, ...], Any] = {}
    for draft in drafts:
        row = schedule_row(draft.task)
        key = (kind_of(row).name, row.pk, *values_of(row).values())
        rows[key] = rows.get(key) or get_or_store(row)
        set_schedule(draft.task, rows[key])
    _insert(drafts, managed_by=managed_by, by=by)


@transaction.atomic
def _insert(drafts: Sequence[Draft], *, managed_by: ManagedBy, by: Caller) -> None:
    refuse_beyond_quota(by.account, more=len(drafts))
    try:
        with transaction.atomic():
            PeriodicTask.objects.bulk_create(draft.task for draft in drafts)
    except IntegrityError as error:
        taken = taken_names(draft.task.name for draft in drafts)
        if not taken:
            raise
        raise name_taken(min(taken)) from error
    ManagedTask.objects.bulk_create(
        new_managed_settings(draft, managed_by=managed_by, by=by) for draft in drafts
    )
    record_new_entries({draft.task: fields_of(draft.task) for draft in drafts}, by=by)
    PeriodicTasks.update_changed()


def new_managed_settings(draft: Draft, *, managed_by: ManagedBy, by: Caller) -> ManagedTask:
    """Return the managed settings, not stored yet, of a task that has just been stored."""
    return ManagedTask(
        periodic_task=draft.task,
        owner=by.account if by.account.pk else None,  # a user of the admin has no account
        managed_by=managed_by,
        labels=draft.labels or {},
        **draft.policies,
    )


@transaction.atomic
def change(
    before: PeriodicTask, draft: Draft, *, managed_by: ManagedBy | None = None, by: Caller
) -> None:
    """Store only the columns that differ, because beat writes other columns of the same row.

    For a paused task, `enabled` in the draft is the value after the pause. A task that is enabled
    again counts its interval from now on: counted from its last run, long ago, it would be overdue
    and start at once. A one-off task that is enabled again may run once more.
    """
    fields_before, after = fields_of(before), draft.task
    after.managed = managed = managed_settings(before)
    set_schedule(after, get_or_store(schedule_row(after)))
    if is_paused(before):
        managed.enabled_on_resume, after.enabled = after.enabled, False
    else:
        managed.paused_at = managed.paused_until = None  # others may have ended it
    if after.enabled and not before.enabled:
        after.last_run_at = None
        if after.one_off:
            after.total_run_count = 0
    changed = [
        column.attname
        for column in PeriodicTask._meta.concrete_fields
        if getattr(before, column.attname) != getattr(after, column.attname)
    ]
    if changed:
        _save(after, columns=[*changed, "date_changed"])
    managed.labels = managed.labels if draft.labels is None else draft.labels
    for name, value in draft.policies.items():
        setattr(managed, name, value)
    managed.managed_by = managed_by or managed.managed_by
    if fields_of(after) != fields_before:
        managed.revision += 1  # no race: the caller has locked the row
        managed.save()
    record_entry(Operation.CHANGE, after, by=by, before=fields_before, after=fields_of(after))


@transaction.atomic
def pause(task: PeriodicTask, *, reason: str, until: datetime | None, by: Caller) -> None:
    """Stop future runs until a given time or a call of `resume`. Runs already sent still happen.

    A task that is already paused gets the new note and end. An earlier end is a change of when it
    runs, as a call of `resume` is.
    """
    fields_before = fields_of(task)
    managed = managed_settings(task)
    if is_paused(task):
        if until is not None and (managed.paused_until is None or until < managed.paused_until):
            _refuse_run_beyond_limits(task, by=by)
    else:
        _begin_pause(task, at=datetime.now(UTC))
    managed.paused_until, managed.pause_note = until, reason
    if fields_of(task) != fields_before:
        managed.revision += 1
        managed.save()
    record_entry(Operation.PAUSE, task, by=by, before=fields_before, after=fields_of(task))


@transaction.atomic
def pause_by_policy(task_id: int, *, reason: str, at: datetime) -> bool:
    """Pause a periodic task because of its policy; False if it is deleted or not enabled.

    The revision stays, because no caller changed the definition.
    """
    enabled = PeriodicTask.objects.filter(pk=task_id, enabled=True)
    task = enabled.select_related("managed").select_for_update(of=("self",), no_key=True).first()
    if task is None:
        return False
    managed = managed_settings(task)
    _begin_pause(task, at=at)
    managed.paused_until, managed.pause_note = None, reason
    managed.save()
    return True


@transaction.atomic
def resume(task: PeriodicTask, *, by: Caller) -> None:
    """End a pause: slots from now on run; slots during the pause do not."""
    if not is_paused(task):
        return
    _refuse_run_beyond_limits(task, by=by)
    fields_before = fields_of(task)
    managed_settings(task).revision += 1
    _end_pause(task, at=datetime.now(UTC))
    record_entry(Operation.RESUME, task, by=by, before=fields_before, after=fields_of(task))


@transaction.atomic
def resume_due(*, at: datetime) -> list[PeriodicTask]:
    """End the pauses that are over; return their tasks. The revision stays, as no caller wrote."""
    paused = PeriodicTask.objects.filter(enabled=False, managed__paused_until__lte=at)
    tasks = list(
        paused.select_related("managed").select_for_update(
            of=("self",), no_key=True, skip_locked=True
        )
    )
    for task in tasks:
        until = managed_settings(task).paused_until
        assert until is not None
        _end_pause(task, at=until)
    return tasks


def _refuse_run_beyond_limits(task: PeriodicTask, *, by: Caller) -> None:
    """Raise ValidationFailed if a task that runs after its pause exceeds a limit of the caller."""
    if is_enabled(task):
        refuse_beyond_limits(task, by.account, schedule=schedule_row(task))


def _begin_pause(task: PeriodicTask, *, at: datetime) -> None:
    managed = managed_settings(task)
    managed.enabled_on_resume, managed.paused_at = task.enabled, at
    task.enabled = False
    _save(task, columns=["enabled", "date_changed"])


def _end_pause(task: PeriodicTask, *, at: datetime) -> None:
    managed = managed_settings(task)
    task.enabled = managed.enabled_on_resume
    _save(task, columns=["enabled", "date_changed"])
    managed.paused_at = managed.paused_until = None
    managed.pause_note, managed.resumed_at = "", at
    managed.save()


@transaction.atomic
def delete(task: PeriodicTask, *, by: Caller) -> None:
    """Delete a periodic task. Its schedule stays, because other tasks may use it."""
    record_entry(Operation.DELETE, task, by=by, before=fields_of(task))
    task.delete()


def fields_of(task: PeriodicTask) -> dict[str, object]:
    """Return the fields that the audit log records: all that a caller can set."""
    row = schedule_row(task)
    return {
        **{name: getattr(task, name) for name in AUDITED_COLUMNS},
        "enabled": is_enabled(task),
        "paused": is_paused(task),
        **{name: getattr(managed_settings(task), name) for name in AUDITED_PAUSE_COLUMNS},
        "schedule": row and {"type": kind_of(row).name, "id": row.pk, **values_of(row)},
        "args": read_json(task.args, list),
        "kwargs": read_json(task.kwargs, dict),
        "headers": read_json(task.headers, dict),
        **{name: getattr(managed_settings(task), name) for name in POLICIES},
        "labels": managed_settings(task).labels,
        "managed_by": managed_settings(task).managed_by,
    }


def _save(task: PeriodicTask, *, columns: Collection[str] | None = None) -> None:
    # Stock beat compares one time to see changes. save() would write it twice: once is enough.
    task.no_changes = True
    try:
        with transaction.atomic():
            task.save(update_fields=columns)
        PeriodicTasks.update_changed()
    except (ValidationError, IntegrityError) as error:
        if not PeriodicTask.objects.filter(name=task.name).exclude(pk=task.pk).exists():
            raise
        raise name_taken(task.name) from error
    finally:
        del task.no_changes


def name_taken(name: str) -> NameTaken:
    """Return the refusal of a name that is taken."""
    return NameTaken(f"The name {name!r} is taken.")


def taken_names(names: Iterable[str]) -> set[str]:
    """Return the names that a periodic task already has, whichever account owns it."""
    return {*PeriodicTask.objects.filter(name__in=names).values_list("name", flat=True)}
