"""The live workers of each queue, the tasks that they have, and what they found in the queue."""

from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.core.signals import request_started
from django.dispatch import receiver

from scheduler_api.catalogue.models import IS_ALIVE, TaskList, Worker

MAX_NAMES = 5  # in a sentence

_of_request: ContextVar["QueueWorkers | None"] = ContextVar("queue_workers", default=None)


@dataclass(frozen=True, kw_only=True)
class QueueWorker:
    """A live worker. `tasks` is None if all live workers have the same tasks."""

    name: str
    queues: frozenset[str]
    tasks: frozenset[str] | None
    returned_tasks: frozenset[tuple[str, str]] = frozenset()
    """Queue and task of messages that the worker lately gave back: it does not have the task."""
    queue_mismatches: Sequence[Mapping[str, Any]] = ()
    """Queues that exist with other arguments, as scheduler_api.broker.queue_mismatches stores."""


@dataclass(frozen=True, kw_only=True)
class QueueWorkers:
    """All live workers."""

    workers: Sequence[QueueWorker] = field(default_factory=list)

    def of(self, queue: str) -> list[QueueWorker]:
        """Return the workers of a queue, sorted by name."""
        return [worker for worker in self.workers if queue in worker.queues]

    def without(self, task: str, queue: str) -> list[QueueWorker]:
        """Return the workers of a queue that do not have a task that others have."""
        return [
            worker
            for worker in self.of(queue)
            if worker.tasks is not None and task not in worker.tasks
        ]

    def returned_from(self, queue: str) -> list[str]:
        """Return the tasks of the messages that workers gave back to a queue, sorted."""
        return sorted(
            {
                task
                for worker in self.of(queue)
                for place, task in worker.returned_tasks
                if place == queue
            }
        )

    def mismatches(self) -> list[Mapping[str, Any]]:
        """Return the queues that exist with other arguments."""
        return [mismatch for worker in self.workers for mismatch in worker.queue_mismatches]

    def problems(self) -> list[str]:
        """Return a sentence for each queue of workers with different tasks, and of strangers."""
        sentences = []
        for queue in sorted({queue for worker in self.workers for queue in worker.queues}):
            workers = self.of(queue)
            known = frozenset[str]().union(*(worker.tasks or () for worker in workers))
            lacking = {
                worker.name: known - worker.tasks
                for worker in workers
                if worker.tasks is not None and known - worker.tasks
            }
            sentences += [
                f"{name} consumes the queue {queue!r}, and does not have the tasks "
                f"{names(missing)} of its other workers."
                for name, missing in lacking.items()
            ]
            if strangers := self.returned_from(queue):
                sentences.append(
                    f"The queue {queue!r} has messages that no task of its workers is for: "
                    f"{names(strangers)}."
                )
        return sentences


def names(tasks: Iterable[str]) -> str:
    """Return names as a part of a sentence, at most MAX_NAMES."""
    known = sorted(task or "unreadable messages" for task in tasks)
    more = len(known) - MAX_NAMES
    return ", ".join(known[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def queue_workers() -> QueueWorkers:
    """Read the live workers: one query, and a second one if their tasks differ."""
    rows = list(
        Worker.objects.filter(IS_ALIVE)
        .order_by("name")
        .values_list("name", "queues", "task_list_id", "returned_tasks", "queue_mismatches")
    )
    tasks = tasks_by_list({task_list for _, _, task_list, _, _ in rows})
    return QueueWorkers(
        workers=[
            QueueWorker(
                name=name,
                queues=frozenset(queues),
                tasks=tasks.get(task_list),
                returned_tasks=frozenset((queue, task) for queue, task in returned),
                queue_mismatches=mismatches,
            )
            for name, queues, task_list, returned, mismatches in rows
        ]
    )


def queue_workers_of_request() -> QueueWorkers:
    """Return the live workers, read once per request: all rows of a list need them."""
    live = _of_request.get()
    if live is None:
        live = queue_workers()
        _of_request.set(live)
    return live


@receiver(request_started)
def forget(**_: object) -> None:
    """Forget the workers that an earlier request of this thread has read."""
    _of_request.set(None)


def tasks_by_list(lists: set[int]) -> dict[int, frozenset[str]]:
    """Return the names of the tasks in each list; nothing for a single list."""
    if len(lists) < 2:  # noqa: PLR2004 - all workers have the same tasks
        return {}
    found: dict[int, set[str]] = {pk: set() for pk in lists}
    members = TaskList.specs.through.objects.filter(tasklist_id__in=lists)
    for pk, name in members.values_list("tasklist_id", "taskspec__name"):
        found[pk].add(name)
    return {pk: frozenset(names) for pk, names in found.items()}
