"""Messages that a worker acknowledges or refuses without a run: their content is unreadable."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from celery import Celery, signals
from celery.app.task import Task
from celery.exceptions import InvalidTaskError
from celery.worker.consumer.consumer import Consumer

from scheduler_api.runs import retry_policy
from scheduler_api.runs.models import Run
from scheduler_api.runs.results import error_columns, traceback_of
from scheduler_api.worker.main_process import finish_in_main_process
from scheduler_api.worker.process_recorder import write

UNREADABLE = "A worker cannot read its message, and dropped it."

celery_on_decode_error = Consumer.on_decode_error
celery_start_strategy = Task.start_strategy


def connect() -> None:
    """Connect the handlers to Celery. Calling it again changes nothing."""
    signals.task_rejected.connect(on_rejected)
    signals.task_internal_error.connect(on_internal_error)
    Task.start_strategy = start_strategy  # type: ignore[method-assign, assignment]
    Consumer.on_decode_error = on_decode_error  # type: ignore[method-assign, assignment]


def start_strategy(
    task: Task[Any, Any], app: Celery, consumer: Consumer, **options: object
) -> Callable[..., Any]:
    """Return Celery's handler of a task's messages, which refuses a body that is no call.

    It takes the place of Task.start_strategy of Celery. Without the check, one message with
    another body ends the worker, and comes again to the next.
    """
    handle: Callable[..., Any] = celery_start_strategy(task, app, consumer, **options)

    def handle_call(message: Any, body: object, *args: object) -> Any:
        if body is None and not is_call(message.payload):
            raise InvalidTaskError("The body is no call: a list of args, kwargs and options.")
        return handle(message, body, *args)

    return handle_call


def is_call(payload: object) -> bool:
    """Return whether a body has the shape that Celery reads."""
    match payload:
        case [_, _, dict() | None]:
            return True
        case {"args": _}:  # an earlier protocol
            return True
    return False


def on_rejected(message: Any, exc: Exception | None = None, **_: object) -> None:
    """Record that a worker has refused a message: a serializer that it does not accept, …"""
    fail(message, exc)


def on_decode_error(consumer: Consumer, message: Any, exc: Exception) -> None:
    """Record that a worker has dropped a message that it cannot decode.

    It takes the place of Consumer.on_decode_error of Celery, which logs and acknowledges, and
    sends no signal.
    """
    celery_on_decode_error(consumer, message, exc)
    fail(message, exc)


def fail(message: Any, error: Exception | None) -> None:
    """Record in the main process that the run of a message has failed."""
    headers = message.headers or {}
    if "periodic_task_name" not in headers or "id" not in headers:
        return
    columns = error_columns(error, "") if error else {}
    columns["reason"] = UNREADABLE
    finish_in_main_process(retry_policy.fail, headers["id"], state=Run.State.FAILED, **columns)


def on_internal_error(
    sender: Task[Any, Any], task_id: str, request: Any, exception: BaseException, **_: object
) -> None:
    """Record a failure before the start of the task: arguments of another shape."""
    if not isinstance(exception, InvalidTaskError) or "periodic_task_name" not in request:
        return
    columns = error_columns(exception, traceback_of(exception))
    columns["reason"] = UNREADABLE
    write(retry_policy.fail, task_id, at=datetime.now(UTC), state=Run.State.FAILED, **columns)
