"""Look up tasks: in the registry of this process, or as announced by workers."""

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
from scheduler_api.http.serializers import unknown

# A worker that has not been seen for this long is deleted, with the tasks that only it had.
WORKER_RETENTION = timedelta(days=30)
NAMES_CACHE_SECONDS = 2.0  # how long AnnouncedNames keeps the names


@dataclass(frozen=True, kw_only=True)
class Availability:
    """The workers of a task: how many are alive, and when one with the task was last seen."""

    worker_count: int = 0
    last_seen_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class KnownTask:
    """A task and its availability. `workers` is filled only for a single task."""

    task: RegisteredTask
    availability: Availability
    workers: list[Worker] = field(default_factory=list)


def find_task(name: str) -> RegisteredTask | None:
    """Return the task of a name: as registered in this process, or else as announced."""
    task = get_task(name)
    if task is not None or is_registered(name):  # registered without a task: Celery built it in
        return task
    spec = TaskSpec.objects.filter(name=name).first()
    return task_from_spec(spec) if spec else None


def task_from_spec(spec: TaskSpec) -> RegisteredTask:
    """Return a task as a worker announced it."""
    return RegisteredTask(name=spec.name, doc=spec.doc, signature=_signature(spec.schema))


@lru_cache(2048)
def _signature(schema: str) -> TaskSignature:
    return signature_from(json.loads(schema))


def known_tasks() -> list[KnownTask]:
    """Return all tasks, sorted by name. The code of this process has precedence."""
    specs = {spec.name: spec for spec in TaskSpec.objects.all()}
    availability = availability_by_name(specs) if specs else {}
    tasks = {name: task_from_spec(spec) for name, spec in specs.items()}
    tasks |= {task.name: task for task in registered_tasks()}
    return [
        KnownTask(task=tasks[name], availability=availability.get(name, Availability()))
        for name in sorted(tasks)
    ]


def availability_by_name(specs: Mapping[str, TaskSpec]) -> dict[str, Availability]:
    """Return the availability of each task.

    Workers with the same set of tasks share one list, so few rows are read for many workers.
    """
    lists = {
        pk: (count, seen_at)
        for pk, count, seen_at in TaskList.objects.values_list("pk").annotate(
            living=Count("workers", filter=alive("workers__")),
            seen_at=Max("workers__last_seen_at"),
        )
    }
    by_spec: dict[int, list[tuple[int, datetime | None]]] = {}
    for list_id, spec_id in TaskList.specs.through.objects.values_list("tasklist", "taskspec"):
        by_spec.setdefault(spec_id, []).append(lists.get(list_id, (0, None)))
    return {name: availability(spec, by_spec.get(spec.pk, [])) for name, spec in specs.items()}


def availability(spec: TaskSpec, workers: Sequence[tuple[int, datetime | None]]) -> Availability:
    """Return the availability of a task.

    `workers` has a pair for each list, or each worker, with the task: the number of live workers,
    and when one was last seen.
    """
    seen = [spec.last_seen_at, *(seen_at for _, seen_at in workers if seen_at)]
    return Availability(worker_count=sum(count for count, _ in workers), last_seen_at=max(seen))


def known_task(name: str) -> KnownTask | None:
    """Return the task of a name with its workers, or None."""
    task = find_task(name)
    if task is None:
        return None
    spec = TaskSpec.objects.filter(name=name).first()
    if spec is None:
        return KnownTask(task=task, availability=Availability())
    with_task = Worker.objects.filter(task_list__specs=spec).order_by("name")
    workers: list[Any] = list(with_is_alive(with_task))  # Any: annotated with `is_alive`
    seen = [(int(worker.is_alive), worker.last_seen_at) for worker in workers]
    return KnownTask(task=task, availability=availability(spec, seen), workers=workers)


def unknown_task(name: str, *, known: Sequence[str] | None = None) -> str:
    """Return the refusal of a task that nobody has registered, and how it becomes known.

    `known` are the names that it may suggest; by default all.
    """
    reason = unknown("task", name, known_names() if known is None else known)
    return (
        f"{reason} A task becomes known when a worker that has it starts: check the name, or "
        "start or restart the worker."
    )


def known_names() -> list[str]:
    """Return the names of all tasks, sorted."""
    announced = TaskSpec.objects.values_list("name", flat=True)
    return sorted({*announced, *(task.name for task in registered_tasks())})


class AnnouncedNames:
    """A cache of the tasks and queues that workers have announced.

    Beat looks up a name before it sends each run. With the cache, names that beat's process does
    not have cost one query every two seconds, for any number of runs.
    """

    def __init__(self) -> None:
        self.version = 0  # of what a lookup may find
        self.invalidate()

    def invalidate(self) -> None:
        """Read everything from the database at the next lookup."""
        self.version += 1
        self._specs: Mapping[str, tuple[bool, datetime]] = {}
        self._read_at = float("-inf")
        self._queues: frozenset[str] | None = None
        self._unknown: set[str] = set()

    def _refresh(self) -> None:
        if time.monotonic() - self._read_at > NAMES_CACHE_SECONDS:
            specs = TaskSpec.objects.values_list("name", "is_binding", "last_seen_at")
            self._specs = {name: (is_binding, seen_at) for name, is_binding, seen_at in specs}
            self._queues = None
            self._read_at = time.monotonic()

    def has(self, name: str) -> bool:
        """Return whether a worker has, or had, the task of a name."""
        self._refresh()
        return name in self._specs

    def binding_since(self, name: str) -> datetime | None:
        """Return when a task was announced with a binding signature; None if it was not."""
        self._refresh()
        is_binding, seen_at = self._specs.get(name, (False, None))
        return seen_at if is_binding else None

    def consumes(self, queue: str | None) -> bool:
        """Return whether a worker that has announced its tasks consumes a queue, or did.

        None stands for a queue that is not known: any such worker counts.
        """
        self._refresh()
        if self._queues is None:
            lists = Worker.objects.values_list("queues", flat=True)
            self._queues = frozenset(each for queues in lists for each in queues)
        return bool(self._queues) if queue is None else queue in self._queues

    def is_new(self, name: str) -> bool:
        """Return true once for each name that nobody has registered, until the next change."""
        is_new = name not in self._unknown
        self._unknown.add(name)
        return is_new


announced_names = AnnouncedNames()


@lru_cache(4096)
def announced_signature(name: str, _seen_at: datetime) -> TaskSignature | None:
    """Return the announced signature of a task; it is read again when it is announced anew."""
    spec = TaskSpec.objects.filter(name=name).first()
    return _signature(spec.schema) if spec else None


def catalogue_version() -> tuple[object, ...]:
    """Return a value that changes when a worker starts, and when it announces another task."""
    return (
        *TaskSpec.objects.aggregate(Count("pk"), Max("last_seen_at")).values(),
        *Worker.objects.aggregate(Count("pk"), Max("started_at")).values(),
    )


@transaction.atomic
def delete_stale_workers() -> int:
    """Delete the workers that have not been seen for WORKER_RETENTION; return their number.

    The tasks that only they had are deleted as well, except a task that a periodic task names: its
    runs wait for a worker, and would be refused from one day to the next.
    """
    limit = Now() - WORKER_RETENTION
    count, _ = Worker.objects.filter(last_seen_at__lt=limit).delete()
    TaskList.objects.filter(workers=None).delete()
    gone = TaskSpec.objects.filter(lists=None, last_seen_at__lt=limit)
    gone.exclude(name__in=PeriodicTask.objects.values("task")).delete()
    return count
