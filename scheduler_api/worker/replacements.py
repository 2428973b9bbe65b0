"""Runs of tasks that hand their work on: `self.replace` with a task, a chain, a group or a chord.

Celery gives the id of the replaced task to the last task of its replacement (celery.app.task,
Task.replace), and new ids to the others. Their messages carry the run in a header, so that each
worker records what becomes of it: a part that fails ends the run, and the last part's result is
the run's.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from celery.app.task import Task
from celery.canvas import Signature

from scheduler_api.runs import transitions
from scheduler_api.worker.process_recorder import ongoing, write
from scheduler_api.worker.run_messages import HEADER, Part, is_sent_by_beat, part_of

# If no part has started this long after the last one has ended, the run is lost.
PART_START_TIMEOUT = timedelta(hours=1)
WAITS = "The task was replaced by {}, which has not started."

celery_on_replace = Task.on_replace
# The parts that this worker has received and not finished, by the id of the task.
received: WeakValueDictionary[str, Any] = WeakValueDictionary()


def received_part(task_id: str) -> Part | None:
    """Return the run of a part in the main process, where some signals have no request."""
    request = received.get(task_id)
    return part_of(request._context) if request is not None else None


def on_received(request: Any, **_: object) -> None:
    """Keep the message of a part for `received_part`, as long as Celery has it."""
    if HEADER in request.request_dict:
        received[request.id] = request


def on_replace(task: Task[Any, Any], sig: Signature[Any]) -> Any:
    """Record that a run waits for its replacement, before Celery publishes it.

    It takes the place of Task.on_replace of Celery, which publishes and raises Ignore.
    """
    request: Any = task.request
    part = part_of(request)
    if not request.is_eager and (part or is_sent_by_beat(request)):
        started = ongoing.get(request.id)
        replaced = part or Part(request.id, started and started.at)
        mark(sig, replaced.as_header())
        if replaced.started_at:
            write(
                transitions.requeue,
                replaced.run_id,
                started_at=replaced.started_at,
                until=datetime.now(UTC) + PART_START_TIMEOUT,
                reason=WAITS.format(sig["task"]),
            )
        request.is_replaced = True
    return celery_on_replace(task, sig)


def mark(sig: Mapping[str, Any], header: str) -> None:
    """Write the header into each task of a signature, and leave its callbacks alone."""
    options: dict[str, Any] = sig["options"]
    inner = [*signatures_in(sig)]
    if not inner or "headers" in options:  # a canvas passes its own on to its first task
        headers = dict(options.get("headers") or {})
        headers.pop("periodic_task_name", None)  # the message of a run
        options["headers"] = {**headers, HEADER: header}
    for each in inner:
        mark(each, header)


def signatures_in(sig: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the signatures that a chain, a group or a chord consists of."""
    kwargs = sig["kwargs"]
    match sig["task"]:
        case "celery.chain" | "celery.group":
            yield from kwargs["tasks"]
        case "celery.chord":
            header = kwargs["header"]
            yield from [header] if isinstance(header, Mapping) else header
            if kwargs.get("body"):
                yield kwargs["body"]


def is_poll(request: Any) -> bool:
    """Return whether a task only waits for others: it does not run for as long as the run does.

    A result backend without counters starts it for a chord, with the headers of its body.
    """
    return getattr(request, "task", "") == "celery.chord_unlock"


def start_of(
    part: Part, *, at: datetime, worker: str, is_retry: bool
) -> partial[transitions.Start]:
    """Return the write that records the start of a part."""
    return partial(
        transitions.start_part,
        part.run_id,
        started_at=part.started_at,
        at=at,
        worker=worker,
        is_retry=is_retry,
    )


def end_part(run_id: str, started_at: datetime | None) -> partial[bool]:
    """Return the write that records that a part has ended, and others follow."""
    until = datetime.now(UTC) + PART_START_TIMEOUT
    return partial(transitions.await_part, run_id, started_at=started_at, until=until)
