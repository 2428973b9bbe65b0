"""Every task that is known: to this process by its code, or by what the workers have told."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.db.models import Count, Max
from django.db.models.functions import Now
from django_celery_beat.models import PeriodicTask

from scheduler_api.catalogue.models import TaskList, TaskSpec, Worker, alive, with_is_alive
from scheduler_api.catalogue.registry import (
    RegisteredTask,
    get_task,
    is_registered,
    registered_tasks,
)
from scheduler_api.catalogue.signatures import TaskSignature, signature_from

# A worker that nobody has seen for so long is forgotten, and so is what it alone could run.
WORKER_RETENTION = timedelta(days=30)
NAMES_CACHE_SECONDS = 2.0  # of the names that the workers have told


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Who has a task: how many workers that live, and when one was last seen that has, or had."""

    worker_count: int = 0
    last_seen_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class KnownTask:
    """A task, and who has it; all of its workers only where somebody asks for this one."""

    task: RegisteredTask
    availability: Availability
    workers: list[Worker] = field(default_factory=list)


def find_task(name: str) -> RegisteredTask | None:
    """Return the task of that name, as this process has it or else as a worker has told of it."""
    task = get_task(name)
    if task is not None or is_registered(name):  # Celery's own
        return task
    spec = TaskSpec.objects.filter(name=name).first()
    return task_from_spec(spec) if spec else None


def task_from_spec(spec: TaskSpec) -> RegisteredTask:
    """Return what a worker has told of a task."""
    return RegisteredTask(name=spec.name, doc=spec.doc, signature=_signature(spec.schema))


@lru_cache(2048)
def _signature(schema: str) -> TaskSignature:
    return signature_from(json.loads(schema))


def known_tasks() -> list[KnownTask]:
    """Return all of them, sorted by name; where this process has the code, as that has it."""
    specs = {spec.name: spec for spec in TaskSpec.objects.all()}
    availability = availability_by_name(specs) if specs else {}
    tasks = {name: task_from_spec(spec) for name, spec in specs.items()}
    tasks |= {task.name: task for task in registered_tasks()}
    return [
        KnownTask(task=tasks[name], availability=availability.get(name, Availability()))
        for name in sorted(tasks)
    ]


def availability_by_name(specs: Mapping[str, TaskSpec]) -> dict[str, Availability]:
    """Tell who has tasks. Workers that have the same are few rows, however many they are."""
    lists = {
        pk: (count, seen_at)
        for pk, count, seen_at in TaskList.objects.values_list("pk").annotate(
            living=Count("workers", filter=alive("workers__")),
            seen_at=Max("workers__last_seen_at"),
        )
    }
    having: dict[int, list[tuple[int, datetime | None]]] = {}
    for list_id, spec_id in TaskList.specs.through.objects.values_list("tasklist", "taskspec"):
        having.setdefault(spec_id, []).append(lists.get(list_id, (0, None)))
    return {name: availability(spec, having.get(spec.pk, [])) for name, spec in specs.items()}


def availability(spec: TaskSpec, having: Sequence[tuple[int, datetime | None]]) -> Availability:
    """Sum up, of the lists that a task is on, how many workers live and when one was seen."""
    seen = [spec.last_seen_at, *(seen_at for _, seen_at in having if seen_at)]
    return Availability(worker_count=sum(count for count, _ in having), last_seen_at=max(seen))


def known_task(name: str) -> KnownTask | None:
    """Return one of them, with its workers."""
    task = find_task(name)
    if task is None:
        return None
    spec = TaskSpec.objects.filter(name=name).first()
    if spec is None:
        return KnownTask(task=task, availability=Availability())
    having = Worker.objects.filter(task_list__specs=spec).order_by("name")
    workers: list[Any] = list(with_is_alive(having))  # with `is_alive`
    seen = [(int(worker.is_alive), worker.last_seen_at) for worker in workers]
    return KnownTask(task=task, availability=availability(spec, seen), workers=workers)


def known_names() -> list[str]:
    """Return the names of all of them."""
    told = TaskSpec.objects.values_list("name", flat=True)
    return sorted({*told, *(task.name for task in registered_tasks())})


class AnnouncedNames:
    """The names that the workers have told, as they were a moment ago.

    For beat, which asks before it sends each run: a name that its own process does not have costs
    a query every two seconds, whatever is sent meanwhile.
    """

    def __init__(self) -> None:
        self.invalidate()

    def invalidate(self) -> None:
        """Ask the database next time."""
        self._names: frozenset[str] = frozenset()
        self._read_at = float("-inf")

    def has(self, name: str) -> bool:
        """Tell whether a worker has, or had, the task of that name."""
        if time.monotonic() - self._read_at > NAMES_CACHE_SECONDS:
            self._names = frozenset(TaskSpec.objects.values_list("name", flat=True))
            self._read_at = time.monotonic()
        return name in self._names


announced_names = AnnouncedNames()


@transaction.atomic
def delete_stale_workers() -> int:
    """Delete the workers that nobody has seen for long; return how many.

    With them goes what they alone could run, unless a periodic task names it: that is to wait for
    such a worker, not to be refused from one day to the next.
    """
    limit = Now() - WORKER_RETENTION
    count, _ = Worker.objects.filter(last_seen_at__lt=limit).delete()
    TaskList.objects.filter(workers=None).delete()
    gone = TaskSpec.objects.filter(lists=None, last_seen_at__lt=limit)
    gone.exclude(name__in=PeriodicTask.objects.values("task")).delete()
    return count
