"""Writing periodic tasks, each in one transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from scheduler_api.access.audit import Caller, Operation, note, note_new
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
AUDITED_OF_PAUSE = ("paused_until", "pause_note")


class NameTaken(Problem):
    """Another periodic task has this name."""

    status_code = 409
    code = "name_taken"
    # Whose it is, and where, is not told: the caller may not see it.
    example = {"detail": "The name 'Import contacts' is taken."}


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A periodic task as it is to be stored, with nothing wrong about it.

    `labels` are None where they are to stay as they are; so do the policies that are not named.
    """

    task: PeriodicTask
    labels: Labels | None = None
    policies: Mapping[str, Any] = field(default_factory=dict)


def follow(task: PeriodicTask, schedule: Any) -> None:
    """Let a periodic task follow a schedule, in memory."""
    for kind in KINDS:
        setattr(task, kind, schedule if kind == kind_of(schedule).name else None)


@transaction.atomic
def create(draft: Draft, *, by: Caller) -> None:
    """Store a new periodic task, and its schedule unless an equal one is stored already."""
    refuse_beyond_quota(by.account, more=1)
    task = draft.task
    follow(task, get_or_store(schedule_row(task)))
    _save(task)
    new_managed_settings(draft, managed_by=ManagedBy.API, by=by).save(force_insert=True)
    note(Operation.CREATE, task, by=by, after=fields_of(task))


def create_all(
    drafts: Sequence[Draft], *, managed_by: ManagedBy = ManagedBy.API, by: Caller
) -> None:
    """Store new periodic tasks in a few statements; all of them, or none.

    Equal schedules share a row, which stays, whatever becomes of the tasks: so that one of them
    may be stored by itself next. Django sends no signal of rows that are stored so.
    """
    rows: dict[tuple[object, ...], Any] = {}
    for draft in drafts:
        row = schedule_row(draft.task)
        key = (kind_of(row).name, row.pk, *values_of(row).values())
        rows[key] = rows.get(key) or get_or_store(row)
        follow(draft.task, rows[key])
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
    note_new({draft.task: fields_of(draft.task) for draft in drafts}, by=by)
    PeriodicTasks.update_changed()


def new_managed_settings(draft: Draft, *, managed_by: ManagedBy, by: Caller) -> ManagedTask:
    """Return the other half, not stored yet, of a task that has just been."""
    return ManagedTask(
        periodic_task=draft.task,
        owner=by.account,
        managed_by=managed_by,
        labels=draft.labels or {},
        **draft.policies,
    )


@transaction.atomic
def change(
    before: PeriodicTask, draft: Draft, *, managed_by: ManagedBy | None = None, by: Caller
) -> None:
    """Store what differs, and nothing else: beat writes other columns of the same row.

    Of a task that is paused, `enabled` in the draft says what it is to be when it resumes. One
    that is enabled again counts its interval from now on: counted from its last run, long ago, it
    would be overdue and start at once. One that runs once may do so once more.
    """
    fields_before, after = fields_of(before), draft.task
    after.managed = managed = managed_settings(before)
    follow(after, get_or_store(schedule_row(after)))
    if is_paused(before):
        managed.enabled_on_resume, after.enabled = after.enabled, False
    else:
        managed.paused_at = managed.paused_until = None  # ended past the API, if it was not
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
        managed.revision += 1  # the caller has locked the row
        managed.save()
    note(Operation.CHANGE, after, by=by, before=fields_before, after=fields_of(after))


@transaction.atomic
def pause(task: PeriodicTask, *, why: str, until: datetime | None, by: Caller) -> None:
    """Stop future runs, until a moment or a call of `resume`. Those already sent still happen.

    One that is paused already gets the new note and end.
    """
    fields_before = fields_of(task)
    managed = managed_settings(task)
    if not is_paused(task):
        _begin_pause(task, at=datetime.now(UTC))
    managed.paused_until, managed.pause_note = until, why
    if fields_of(task) != fields_before:
        managed.revision += 1
        managed.save()
    note(Operation.PAUSE, task, by=by, before=fields_before, after=fields_of(task))


@transaction.atomic
def pause_by_policy(task_id: int, *, why: str, at: datetime) -> bool:
    """Pause a periodic task that its policy stops; False where it is none, or does not run.

    Nobody has asked: no revision.
    """
    enabled = PeriodicTask.objects.filter(pk=task_id, enabled=True)
    task = enabled.select_related("managed").select_for_update(of=("self",)).first()
    if task is None:
        return False
    managed = managed_settings(task)
    _begin_pause(task, at=at)
    managed.paused_until, managed.pause_note = None, why
    managed.save()
    return True


@transaction.atomic
def resume(task: PeriodicTask, *, by: Caller) -> None:
    """End a pause: slots from now on are served, those that passed meanwhile are not."""
    if not is_paused(task):
        return
    fields_before = fields_of(task)
    managed_settings(task).revision += 1
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
        until = managed_settings(task).paused_until
        assert until is not None
        _end_pause(task, at=until)
    return tasks


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
        **{name: getattr(managed_settings(task), name) for name in AUDITED_OF_PAUSE},
        "schedule": row and {"type": kind_of(row).name, "id": row.pk, **values_of(row)},
        "args": read_json(task.args, list),
        "kwargs": read_json(task.kwargs, dict),
        "headers": read_json(task.headers, dict),
        **{name: getattr(managed_settings(task), name) for name in POLICIES},
        "labels": managed_settings(task).labels,
        "managed_by": managed_settings(task).managed_by,
    }


def _save(task: PeriodicTask, *, columns: Collection[str] | None = None) -> None:
    try:
        with transaction.atomic():
            task.save(update_fields=columns)
    except (ValidationError, IntegrityError) as error:
        if not PeriodicTask.objects.filter(name=task.name).exclude(pk=task.pk).exists():
            raise
        raise name_taken(task.name) from error


def name_taken(name: str) -> NameTaken:
    """Return the refusal of a name."""
    return NameTaken(f"The name {name!r} is taken.")


def taken_names(names: Iterable[str]) -> set[str]:
    """Return those of some names that a periodic task has, whosever it is."""
    return {*PeriodicTask.objects.filter(name__in=names).values_list("name", flat=True)}
