"""Warnings about the workers and the queue of a valid periodic task."""

from collections.abc import Iterator
from typing import Any

from celery import current_app

from scheduler_api.catalogue.queue_workers import QueueWorkers, names
from scheduler_api.catalogue.registry import is_registered
from scheduler_api.catalogue.routes import route_of
from scheduler_api.http.problems import Mistake

PRIORITY_ARGUMENT = "x-max-priority"
ONE_EACH = "Give each service a queue of its own: see QUEUES and WORKER_QUEUES."


def warnings_about_workers(task: Any, live: QueueWorkers) -> list[Mistake]:
    """Return the warnings about the workers and the queue of a periodic task.

    `task` has `was_announced` and `has_worker` from catalogue.models.
    """
    queue = route_of(task.task, task.queue, task.exchange, task.routing_key).queue
    return [
        *missing_worker(task, queue, live),
        *(shared_queue(task, queue, live) if queue else ()),
        *(ignored_priority(task, queue, live) if queue and task.priority else ()),
    ]


def missing_worker(task: Any, queue: str | None, live: QueueWorkers) -> Iterator[Mistake]:
    """Warn if no live worker has the task, or none that consumes its queue."""
    if task.has_worker:
        if queue and len(live.without(task.task, queue)) == len(live.of(queue)):
            yield Mistake(
                pointer="/task",
                code="no_worker",
                detail=f"No live worker that consumes the queue {queue!r} has registered this "
                "task: its runs wait until one does.",
            )
    elif task.was_announced:
        yield Mistake(
            pointer="/task",
            code="no_worker",
            detail="No live worker has registered this task: its runs wait until one does.",
        )
    elif not is_registered(task.task):
        yield Mistake(
            pointer="/task",
            code="unregistered_task",
            detail="No worker has ever registered this task: its name and arguments are not "
            "checked.",
        )


def shared_queue(task: Any, queue: str, live: QueueWorkers) -> Iterator[Mistake]:
    """Warn if a message of the task can come to a worker without the task."""
    without = live.without(task.task, queue)
    strangers = live.returned_from(queue)
    if without and len(without) < len(live.of(queue)):
        yield Mistake(
            pointer="/queue",
            code="shared_queue",
            detail=f"{names(worker.name for worker in without)} also consumes the queue "
            f"{queue!r}, does not have this task, and gives its messages back, which delays its "
            f"runs. {ONE_EACH}",
        )
    elif strangers and task.has_worker:
        yield Mistake(
            pointer="/queue",
            code="shared_queue",
            detail=f"The queue {queue!r} also has messages of another service "
            f"({names(strangers)}), whose workers may take and drop those of this task. "
            f"{ONE_EACH}",
        )


def ignored_priority(task: Any, queue: str, live: QueueWorkers) -> Iterator[Mistake]:
    """Warn if the queue has no priorities."""
    if has_priorities(queue, live):
        return
    yield Mistake(
        pointer="/priority",
        code="no_priorities",
        detail=f"The queue {queue!r} has no priorities, so this one has no effect: set "
        "QUEUE_MAX_PRIORITY, and migrate the queue.",
    )


def has_priorities(queue: str, live: QueueWorkers) -> bool:
    """Return whether a queue has priorities: as it exists if a worker knows, or as declared."""
    match current_app.connection_for_write().transport.driver_type:
        case "amqp":
            for mismatch in live.mismatches():
                if mismatch["queue"] == queue and mismatch["argument"] == PRIORITY_ARGUMENT:
                    return bool(mismatch["there"].isdigit())
            declared: Any = current_app.amqp.queues[queue]
            arguments = declared.queue_arguments or {}
            return bool(declared.max_priority or arguments.get(PRIORITY_ARGUMENT))
        case "filesystem":
            return False
    return True
