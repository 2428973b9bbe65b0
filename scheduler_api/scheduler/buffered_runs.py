"""Release buffered runs: when the previous run has ended, or in turn for a backfill."""

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


class ActiveRun(NamedTuple):
    """An active run: one that has not ended."""

    id: str
    is_buffered: bool
    trigger: str


def active_of(leases: Mapping[int, datetime]) -> dict[int, list[tuple[str, bool]]]:
    """Return the active runs of tasks: for each, its id and whether it is buffered.

    `leases` has a time for each task: an older run that still waits for a worker is ignored, as
    its maximum runtime is over. A run with a lease is known to be running.
    """
    return {
        task_id: [(each.id, each.is_buffered) for each in runs]
        for task_id, runs in active_runs_of(leases).items()
    }


def active_runs_of(leases: Mapping[int, datetime]) -> dict[int, list[ActiveRun]]:
    """Return the active runs of tasks, without buffered runs of a backfill: they block no run."""
    active_runs: dict[int, list[ActiveRun]] = {}
    recent = Q(created_at__gt=min(leases.values()))
    runs = Run.active().filter(recent | Q(lease_until__isnull=False), periodic_task_id__in=leases)
    for pk, task_id, created_at, is_buffered, lease_until, trigger in runs.exclude(
        is_buffered=True, trigger=Run.Trigger.BACKFILL
    ).values_list("pk", "periodic_task_id", "created_at", "is_buffered", "lease_until", "trigger"):
        if task_id is not None and (lease_until or created_at > leases[task_id]):
            of_task = active_runs.setdefault(task_id, [])
            of_task.append(ActiveRun(id=str(pk), is_buffered=is_buffered, trigger=trigger))
    return active_runs


@transaction.atomic
def release_buffered(store: Store, now: datetime) -> None:
    """Enqueue the buffered runs of tasks with no other active run."""
    waiting = Run.objects.filter(is_buffered=True).exclude(trigger=Run.Trigger.BACKFILL)
    # Only runs of a periodic task wait for another.
    buffered = {run.periodic_task_id: run for run in waiting if run.periodic_task_id is not None}
    if not buffered:
        return
    active = active_of(leases_of(buffered, now))
    free = [
        str(run.pk)
        for task_id, run in buffered.items()
        if all(is_buffered for _, is_buffered in active.get(task_id, []))
    ]
    released = Run.objects.filter(pk__in=free, is_buffered=True)
    if released.update(is_buffered=False, reason="", created_at=now):
        store.enqueue(free, now=now, retry_at=now)


@transaction.atomic
def release_backfilled(store: Store, now: datetime, *, at_once: int) -> bool:
    """Enqueue backfilled runs, oldest slots first; return whether any were released.

    At most `at_once` backfilled runs of a task are active. With an overlap policy other than
    `allow`, it is one, and only while no other run of the task is active and a run as long as the
    latest would end before the next slot.
    """
    waiting = Run.objects.filter(is_buffered=True, trigger=Run.Trigger.BACKFILL).order_by()
    of_tasks = waiting.values_list("periodic_task_id", flat=True).distinct()
    ids = {task_id for task_id in of_tasks if task_id is not None}
    there = PeriodicTask.objects.filter(pk__in=ids)
    # A claim locks the task's row as well, so that the two never add runs of a task at once.
    locked = there.select_for_update(skip_locked=store.can_skip, no_key=True)
    free_ids = {*locked.values_list("pk", flat=True)}
    free_ids |= ids - {*there.values_list("pk", flat=True)}  # the task is deleted
    if not free_ids:
        return False
    active_runs = active_runs_of(leases_of(free_ids, now))
    managed = ManagedTask.objects.filter(pk__in=free_ids).exclude(overlap=Overlap.ALLOW)
    without_overlap = {*managed.values_list("pk", flat=True)}
    turn: list[str] = []
    for task_id in sorted(free_ids):
        before = active_runs.get(task_id, [])
        if task_id in without_overlap:
            limit = int(not before and has_time(task_id, now))
        else:
            limit = at_once - sum(each.trigger == Run.Trigger.BACKFILL for each in before)
        of_task = waiting.filter(periodic_task_id=task_id).order_by("slot_at", "pk")
        turn += [str(pk) for pk in of_task.values_list("pk", flat=True)[: max(limit, 0)]]
    released = waiting.filter(pk__in=turn)
    if not released.update(is_buffered=False, reason="", created_at=now):
        return False
    store.enqueue(turn, now=now, retry_at=now)
    return True


def has_time(task_id: int, now: datetime) -> bool:
    """Return whether a run as long as the latest one would end before the next slot."""
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
    """Return for each task the earliest creation time of a run that may still be active."""
    leases = dict.fromkeys(task_ids, now - timedelta(seconds=MAX_RUNTIME_SECONDS))
    managed = ManagedTask.objects.filter(pk__in=leases)
    for pk, seconds in managed.values_list("pk", "max_runtime_seconds"):
        leases[pk] = now - timedelta(seconds=seconds)
    return leases
