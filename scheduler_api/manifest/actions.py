"""Apply a manifest to the periodic tasks of an account."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask
from rest_framework.exceptions import ValidationError

from scheduler_api.access.audit import Caller, difference
from scheduler_api.access.models import ServiceAccount
from scheduler_api.access.redaction import redacted
from scheduler_api.http.names import normalized
from scheduler_api.http.problems import (
    MAX_ERRORS,
    Mistake,
    ValidationFailed,
    first_mistakes,
    join,
    mistakes_in,
)
from scheduler_api.periodic_tasks import actions
from scheduler_api.periodic_tasks.actions import Draft, NameTaken, fields_of
from scheduler_api.periodic_tasks.models import ManagedTask, managed_settings
from scheduler_api.periodic_tasks.serializers import PeriodicTaskSerializer
from scheduler_api.periodic_tasks.warnings import warnings_about_edit

MANIFEST = ManagedTask.ManagedBy.MANIFEST
TASKS_POINTER = "/periodic_tasks"


@dataclass(kw_only=True)
class ManifestResult:
    """The changes that a manifest makes to the periodic tasks of an account."""

    created: list[str] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unchanged: int = 0
    warnings: list[dict[str, str]] = field(default_factory=list)


def lock_account(account: ServiceAccount) -> None:
    """Lock an account, so that its manifests are applied one after another.

    Without the lock, a manifest could read the periodic tasks of another half-way.
    """
    # FOR NO KEY UPDATE: transactions that only insert references to the account need not wait.
    ServiceAccount.objects.select_for_update(no_key=True).get(pk=account.pk)


def apply(
    entries: Sequence[Any],
    *,
    to: QuerySet[PeriodicTask],
    serializer: PeriodicTaskSerializer,
    prune: bool,
    by: Caller,
) -> ManifestResult:
    """Create, change and, with `prune`, delete periodic tasks until they match the entries.

    `to` is the set of the account's periodic tasks. The caller holds a transaction, and rolls it
    back for a plan. Raise ValidationFailed or NameTaken with all mistakes.
    """
    rows = to.select_for_update(of=("self",), no_key=True).order_by("pk")
    stored: dict[str, PeriodicTask] = {task.name: task for task in rows}
    checked = check(entries, stored, serializer)
    result = ManifestResult()
    if prune:
        for name in sorted(stored.keys() - checked.keys()):
            if managed_settings(stored[name]).managed_by == MANIFEST:
                actions.delete(stored[name], by=by)
                result.deleted.append(name)
    for name in sorted(stored.keys() & checked.keys()):
        change(stored[name], checked[name], result, by=by)
    result.created = sorted(checked.keys() - stored.keys())
    actions.create_all([checked[name] for name in result.created], managed_by=MANIFEST, by=by)
    result.warnings = [
        {"name": name, **warning.as_json()}
        for name in sorted(checked)
        for warning in warnings_about_edit(name)
    ]
    return result


def change(task: PeriodicTask, draft: Draft, result: ManifestResult, *, by: Caller) -> None:
    """Change a periodic task to match its entry, and add the differences to the result."""
    before = fields_of(task)
    actions.change(task, draft, managed_by=MANIFEST, by=by)
    old, new = difference(without_id(before), without_id(fields_of(draft.task)))
    if new:
        result.changed.append(
            {"name": draft.task.name, "before": redacted(old), "after": redacted(new)}
        )
    else:
        result.unchanged += 1


def without_id(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a task without the id of its schedule, as a manifest has them."""
    schedule = {name: value for name, value in (fields["schedule"] or {}).items() if name != "id"}
    return {**fields, "schedule": schedule}


def check(
    entries: Sequence[Any],
    stored: Mapping[str, PeriodicTask],
    serializer: PeriodicTaskSerializer,
) -> dict[str, Draft]:
    """Validate all entries; return the draft of each by its name, or raise with all mistakes."""
    drafts: dict[str, Draft] = {}
    pointers: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for index, entry in enumerate(entries):
        if len(mistakes) > MAX_ERRORS:
            break
        pointer = join(TASKS_POINTER, index)
        name = entry.get("name") if isinstance(entry, dict) else None
        task = None
        if isinstance(name, str):
            task = stored.get(name) or stored.get(normalized(name))
        try:
            draft = serializer.check(entry, task=task)
        except ValidationError as error:
            mistakes += first_mistakes(mistakes_in(error.detail, pointer))
        except ValidationFailed as problem:
            mistakes += with_prefix(problem.errors, pointer)
        else:
            if draft.task.name in drafts:
                mistakes.append(
                    duplicate_name_mistake(draft.task.name, pointer, pointers[draft.task.name])
                )
            drafts[draft.task.name], pointers[draft.task.name] = draft, pointer
    if mistakes:
        raise ValidationFailed(errors=mistakes)
    taken = actions.taken_names(drafts.keys() - stored.keys())
    if taken:
        raise NameTaken(
            errors=first_mistakes(
                Mistake(
                    pointer=f"{pointers[name]}/name",
                    code=NameTaken.code,
                    detail=f"The name {name!r} is taken.",
                )
                for name in drafts
                if name in taken
            )
        )
    return drafts


def with_prefix(mistakes: Sequence[Mistake], pointer: str) -> Iterator[Mistake]:
    """Yield the mistakes of an entry with pointers into the whole manifest."""
    for mistake in mistakes:
        yield Mistake(
            pointer=f"{pointer}{mistake.pointer}", code=mistake.code, detail=mistake.detail
        )


def duplicate_name_mistake(name: str, pointer: str, first: str) -> Mistake:
    """Return the mistake of a name that the manifest uses twice."""
    return Mistake(
        pointer=f"{pointer}/name",
        code="duplicate_name",
        detail=f"The name {name!r} is already used at {first}: name each periodic task once.",
    )
