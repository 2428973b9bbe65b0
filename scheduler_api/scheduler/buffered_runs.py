"""Runs that are held: until the one before them has ended, or until their turn comes."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q
from django_celery_beat.models import PeriodicTask

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.models import MAX_RUNTIME_SECONDS, ManagedTask
from scheduler_api.runs.models import Run
from scheduler_api.scheduler.store import Store

Overlap = ManagedTask.Overlap


class Unfinished(NamedTuple):
    """A run that has not ended."""

    id: str
    is_buffered: bool
    trigger: str


def active_of(leases: Mapping[int, datetime]) -> dict[int, list[tuple[str, bool]]]:
    """Return the runs of tasks that have not ended: of each its id, and whether it is held.

    Of a run from before its task's moment in `leases` that waits for a worker, nobody knows:
    it has had its time. One that runs is known to live.
    """
    return {
        task_id: [(each.id, each.is_buffered) for each in runs]
        for task_id, runs in unfinished_of(leases).items()
    }


def unfinished_of(leases: Mapping[int, datetime]) -> dict[int, list[Unfinished]]:
    """Return the runs of tasks that have not ended.

    What is backfilled and waits for its turn stands in nobody's way.
    """
    unfinished: dict[int, list[Unfinished]] = {}
    recent = Q(created_at__gt=min(leases.values()))
    runs = Run.active().filter(recent | Q(lease_until__isnull=False), periodic_task_id__in=leases)
    for pk, task_id, created_at, is_buffered, lease_until, trigger in runs.exclude(
        is_buffered=True, trigger=Run.Trigger.BACKFILL
    ).values_list("pk", "periodic_task_id", "created_at", "is_buffered", "lease_until", "trigger"):
        if lease_until or created_at > leases[task_id]:
            of_task = unfinished.setdefault(task_id, [])
            of_task.append(Unfinished(id=str(pk), is_buffered=is_buffered, trigger=trigger))
    return unfinished


@transaction.atomic
def release_buffered(store: Store, now: datetime) -> None:
    """Put out the runs that were held until the one before them ended, where it has."""
    waiting = Run.objects.filter(is_buffered=True).exclude(trigger=Run.Trigger.BACKFILL)
    held = {run.periodic_task_id: run for run in waiting}
    if not held:
        return
    active = active_of(leases_of(held, now))
    free = [
        str(run.pk)
        for task_id, run in held.items()
        if all(is_buffered for _, is_buffered in active.get(task_id, []))
    ]
    released = Run.objects.filter(pk__in=free, is_buffered=True)
    if released.update(is_buffered=False, reason="", created_at=now):
        store.put_out(free, now=now, retry_at=now)


@transaction.atomic
def release_backfilled(store: Store, now: datetime, *, at_once: int) -> bool:
    """Put out backfilled runs whose turn has come; return whether there were some.

    Of each task, the oldest slots first: so many are sent and have not ended at the same
    time. Under a policy other than `allow` it is one, while nothing else of its task runs,
    and not where a run as long as the latest would be in the way of the next slot.
    """
    waiting = Run.objects.filter(is_buffered=True, trigger=Run.Trigger.BACKFILL).order_by()
    ids = {*waiting.values_list("periodic_task_id", flat=True).distinct()}
    there = PeriodicTask.objects.filter(pk__in=ids)
    # Who claims a task has its row: none of both adds a run while the other looks for some.
    locked = there.select_for_update(skip_locked=store.can_skip, no_key=True)
    free_ids = {*locked.values_list("pk", flat=True)}
    free_ids |= ids - {*there.values_list("pk", flat=True)}  # whose task is deleted
    if not free_ids:
        return False
    unfinished = unfinished_of(leases_of(free_ids, now))
    halves = ManagedTask.objects.filter(pk__in=free_ids).exclude(overlap=Overlap.ALLOW)
    one_by_one = {*halves.values_list("pk", flat=True)}
    turn: list[str] = []
    for task_id in sorted(free_ids):
        before = unfinished.get(task_id, [])
        if task_id in one_by_one:
            room = int(not before and has_time(task_id, now))
        else:
            room = at_once - sum(each.trigger == Run.Trigger.BACKFILL for each in before)
        of_task = waiting.filter(periodic_task_id=task_id).order_by("slot_at", "pk")
        turn += [str(pk) for pk in of_task.values_list("pk", flat=True)[: max(room, 0)]]
    released = waiting.filter(pk__in=turn)
    if not released.update(is_buffered=False, reason="", created_at=now):
        return False
    store.put_out(turn, now=now, retry_at=now)
    return True


def has_time(task_id: int, now: datetime) -> bool:
    """Tell whether a run would end before the next slot, if it took as long as the latest."""
    due_at = Agenda.objects.filter(pk=task_id).values_list("due_at", flat=True).first()
    ended = Run.objects.filter(
        periodic_task_id=task_id, started_at__isnull=False, finished_at__isnull=False
    ).order_by("-created_at", "-pk")
    latest = ended.values_list("started_at", "finished_at").first()
    if due_at is None or latest is None:
        return True
    started_at, finished_at = latest
    return bool(started_at and finished_at and now + (finished_at - started_at) < due_at)


def leases_of(task_ids: Iterable[int], now: datetime) -> dict[int, datetime]:
    """Return since when a run of each task may still not have ended."""
    leases = dict.fromkeys(task_ids, now - timedelta(seconds=MAX_RUNTIME_SECONDS))
    halves = ManagedTask.objects.filter(pk__in=leases)
    for pk, seconds in halves.values_list("pk", "max_runtime_seconds"):
        leases[pk] = now - timedelta(seconds=seconds)
    return leases
