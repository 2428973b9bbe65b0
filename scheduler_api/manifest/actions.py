"""Making the periodic tasks of an account what a manifest says."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask
from rest_framework.exceptions import ValidationError

from scheduler_api.access.audit import Caller, difference
from scheduler_api.access.models import ServiceAccount
from scheduler_api.access.redaction import redacted
from scheduler_api.http.problems import Mistake, ValidationFailed, join, mistakes_in
from scheduler_api.periodic_tasks import actions
from scheduler_api.periodic_tasks.actions import Draft, NameTaken, fields_of
from scheduler_api.periodic_tasks.models import ManagedTask, managed_settings
from scheduler_api.periodic_tasks.serializers import PeriodicTaskSerializer

MANIFEST = ManagedTask.ManagedBy.MANIFEST
PLACE = "/periodic_tasks"


@dataclass(kw_only=True)
class Outcome:
    """What a manifest makes of the periodic tasks of an account."""

    created: list[str] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unchanged: int = 0


def lock_account(account: ServiceAccount) -> None:
    """Let one manifest of an account be applied at a time: none sees half of another."""
    # Not locked as a key: who only refers to the account need not wait.
    ServiceAccount.objects.select_for_update(no_key=True).get(pk=account.pk)


def apply(
    entries: Sequence[Any],
    *,
    to: QuerySet[PeriodicTask],
    serializer: PeriodicTaskSerializer,
    prune: bool,
    by: Caller,
) -> Outcome:
    """Create, change and, to prune, delete what is managed by a manifest and no longer named.

    `to` are the tasks of the account. It is done within a transaction of the caller, who undoes it
    for a plan. Raise ValidationFailed or NameTaken with all that is wrong.
    """
    rows = to.select_for_update(of=("self",)).order_by("pk")
    stored: dict[str, PeriodicTask] = {task.name: task for task in rows}
    checked = check(entries, stored, serializer)
    outcome = Outcome()
    if prune:
        for name in sorted(stored.keys() - checked.keys()):
            if managed_settings(stored[name]).managed_by == MANIFEST:
                actions.delete(stored[name], by=by)
                outcome.deleted.append(name)
    for name in sorted(stored.keys() & checked.keys()):
        change(stored[name], checked[name], outcome, by=by)
    outcome.created = sorted(checked.keys() - stored.keys())
    actions.create_all([checked[name] for name in outcome.created], managed_by=MANIFEST, by=by)
    return outcome


def change(task: PeriodicTask, draft: Draft, outcome: Outcome, *, by: Caller) -> None:
    """Make a task what its entry says, and note what differs."""
    before = fields_of(task)
    actions.change(task, draft, managed_by=MANIFEST, by=by)
    old, new = difference(without_id(before), without_id(fields_of(draft.task)))
    if new:
        told = {"name": draft.task.name, "before": redacted(old), "after": redacted(new)}
        outcome.changed.append(told)
    else:
        outcome.unchanged += 1


def without_id(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a task, of its schedule only what a manifest tells."""
    schedule = {name: value for name, value in (fields["schedule"] or {}).items() if name != "id"}
    return {**fields, "schedule": schedule}


def check(
    entries: Sequence[Any],
    stored: Mapping[str, PeriodicTask],
    serializer: PeriodicTaskSerializer,
) -> dict[str, Draft]:
    """Return what each entry says, by its name; raise with the mistakes of all."""
    drafts: dict[str, Draft] = {}
    places: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for index, entry in enumerate(entries):
        place = join(PLACE, index)
        name = entry.get("name") if isinstance(entry, dict) else None
        # As it will be stored: a text is, without the blanks around it.
        task = stored.get(name.strip()) if isinstance(name, str) else None
        try:
            draft = serializer.check(entry, task=task)
        except ValidationError as error:
            mistakes += mistakes_in(error.detail, place)
        except ValidationFailed as problem:
            mistakes += moved(problem.errors, place)
        else:
            if draft.task.name in drafts:
                mistakes.append(twice(draft.task.name, place, places[draft.task.name]))
            drafts[draft.task.name], places[draft.task.name] = draft, place
    if mistakes:
        raise ValidationFailed(errors=mistakes)
    taken = actions.taken_names(drafts.keys() - stored.keys())
    if taken:
        raise NameTaken(
            errors=[
                Mistake(
                    pointer=f"{places[name]}/name",
                    code=NameTaken.code,
                    detail=f"The name {name!r} is taken.",
                )
                for name in drafts
                if name in taken
            ]
        )
    return drafts


def moved(mistakes: Sequence[Mistake], place: str) -> Iterator[Mistake]:
    """Yield the mistakes of an entry with their places in the whole."""
    for mistake in mistakes:
        yield Mistake(
            pointer=f"{place}{mistake.pointer}", code=mistake.code, detail=mistake.detail
        )


def twice(name: str, place: str, first: str) -> Mistake:
    """Return the refusal of a name that stands in the manifest twice."""
    return Mistake(
        pointer=f"{place}/name",
        code="duplicate_name",
        detail=f"The name {name!r} stands at {first}, too: each periodic task stands once.",
    )
