"""Records that a run waits for another message: a retry, a rejected message, a lost process."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from celery.app.task import Task
from celery.exceptions import Retry
from celery.utils.serialization import UnpickleableExceptionWrapper

from scheduler_api.runs import retry_policy, transitions
from scheduler_api.runs.models import Run
from scheduler_api.runs.results import (
    error_columns,
    hide,
    message_of,
    traceback_of,
    type_name_of,
    within,
)
from scheduler_api.worker.main_process import write_in_main_process
from scheduler_api.worker.process_recorder import finish, ongoing, write
from scheduler_api.worker.run_messages import is_sent_by_beat, part_of

# If a retry has not started this long after it was due, the run is lost.
RETRY_START_TIMEOUT = timedelta(hours=1)
REJECTED = "The task raised Reject."
NOT_REQUEUED = "The task raised Reject, and its message does not come back."
CONNECTION_LOST = "Its worker lost the broker and ended its process: the message comes again."
MAX_REASON_LENGTH = 1000


def on_retry(sender: Task[Any, Any], request: Any, reason: Any = None, **_: object) -> None:
    """Record that a run waits for a retry."""
    started = ongoing.pop(request.id, None)
    if started is None:
        on_retry_in_main_process(request, reason)
    elif started.at is not None:
        text = within(hide(retry_text(reason), (request.args, request.kwargs)))
        write(
            transitions.requeue,
            started.run_id or request.id,
            started_at=started.at,
            until=retry_due_at(reason and reason.when) + RETRY_START_TIMEOUT,
            expires_at=expiry_at(reason.sig.options.get("expires") if reason else None),
            reason=text[:MAX_REASON_LENGTH],
        )


def on_retry_in_main_process(request: Any, reason: Retry | None) -> None:
    """Record that a worker delivers a run again whose process it has lost or ended.

    See `task_retry_on_worker_lost` and `worker_cancel_long_running_tasks_on_connection_loss`.
    """
    part = part_of(request)
    if part is None and not is_sent_by_beat(request):
        return
    if part is None and reason is None:
        write_in_main_process(transitions.put_back, request.id, reason=CONNECTION_LOST)
        return
    write_in_main_process(
        transitions.requeue,
        part.run_id if part else request.id,
        started_at=part and part.started_at,
        until=retry_due_at(reason and reason.when) + RETRY_START_TIMEOUT,
        expires_at=expiry_at(request.expires),
        reason=within(retry_text(reason))[:MAX_REASON_LENGTH] if reason else CONNECTION_LOST,
    )


def retry_text(retry: Any) -> str:
    """Return why a task is retried: its exception, or its message."""
    if retry is None:
        return ""
    error = retry.exc
    if error is None:
        return str(retry.message or retry.excs or "")
    # Celery passes on an exception that can be pickled.
    real = retry.__cause__ or retry.__context__
    if isinstance(real, type(error)) or isinstance(error, UnpickleableExceptionWrapper):
        error = real or error
    return f"Waiting for a retry: {type_name_of(error)}: {message_of(error)}"


def expiry_at(expires: Any) -> datetime | None:
    """Return when a message expires, from Celery's text, time, seconds from now, or None."""
    if isinstance(expires, str):
        expires = datetime.fromisoformat(expires)
    return None if expires is None else retry_due_at(expires)


def retry_due_at(when: Any) -> datetime:
    """Return when a retry is due, from Celery's seconds from now, time, or None."""
    now = datetime.now(UTC)
    if isinstance(when, datetime):
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    return now + timedelta(seconds=float(when or 0))


def on_reject(task: Task[Any, Any], task_id: str, reject: Any) -> None:
    """Record that the broker delivers a message again; or a failure, if it does not.

    A message that was acknowledged before the task started cannot be put back.
    """
    if reject.requeue and task.acks_late:
        started = ongoing.pop(task_id)
        if started.run_id:
            until = datetime.now(UTC) + RETRY_START_TIMEOUT
            again = partial(transitions.requeue, until=until)
        else:
            again = partial(transitions.put_back)
        if started.at:
            run_id = started.run_id or task_id
            write(again, run_id, started_at=started.at, reason=REJECTED)
        return
    # Celery itself raises Reject if it cannot publish a retry.
    reason = reject.reason
    request: Any = task.request
    arguments = (request.args, request.kwargs)
    if isinstance(reason, BaseException):
        columns = error_columns(reason, traceback_of(reason), arguments=arguments)
    else:
        columns = error_columns(reject, traceback_of(reject), arguments=arguments)
        columns["error_message"] = within(hide(message_of(reason), arguments))
    finish(
        retry_policy.fail, task_id, state=Run.State.FAILED, **{**columns, "reason": NOT_REQUEUED}
    )
