"""Records the start and the end of each run, in the process that runs its task.

Celery's hooks call these functions for every task of the project, without a change to the task.
Only messages that beat has sent are recorded: any other has no header `periodic_task_name`.
What this process has no time for (a hard time limit, a lost process, a revocation), the worker's
main process records: see main_process.
"""

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import signals, states
from celery.app.task import Task
from celery.exceptions import Ignore
from django.db import DatabaseError, InterfaceError, OperationalError

from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.runs import retry_policy, transitions
from scheduler_api.runs.models import Run
from scheduler_api.runs.results import error_columns, hide, result_columns
from scheduler_api.worker import ledger_statements
from scheduler_api.worker.main_process import (
    finish_in_main_process,
    is_sent_by_beat,
    on_revoked,
)
from scheduler_api.worker.message_logs import hide_secrets_in_reports
from scheduler_api.worker.process_recorder import StartedRun, ongoing, recorder, stop_recorder

DATABASE_ERRORS = (DatabaseError, InterfaceError, TimeoutError)
# If a retry has not started this long after it was due, the run is lost.
RETRY_START_TIMEOUT = timedelta(hours=1)
HARD_LIMIT = "It ran longer than its hard time limit, and its process was killed."
IGNORED = "The task raised Ignore."
REJECTED = "The task raised Reject."
LOST = "The process that ran it ended unexpectedly."

logger = EventLogger(__name__)


def connect() -> None:
    """Connect the handlers to Celery. Calling it again changes nothing."""
    # Replaces a method that does nothing, so that it runs for every task. A task with a method of
    # its own calls this one by `super()`.
    Task.before_start = before_start  # type: ignore[method-assign, assignment]
    signals.task_success.connect(on_success)
    signals.task_failure.connect(on_failure)
    signals.task_retry.connect(on_retry)
    signals.task_revoked.connect(on_revoked)
    signals.task_postrun.connect(on_postrun)
    signals.worker_init.connect(hide_secrets_in_reports)
    signals.worker_process_shutdown.connect(on_shutdown)
    signals.worker_shutdown.connect(on_shutdown)  # where tasks run in the main process


def before_start(task: Task[Any, Any], task_id: str, args: object, kwargs: object) -> None:
    """Record the start of a run; drop a message whose run has started or must not start.

    Beat publishes a message again, under the same id, if a crash or the broker leaves it in doubt:
    the first one may have arrived. A message of an unknown run is executed, and so is every
    message while the database does not answer.
    """
    request: Any = task.request
    if not is_sent_by_beat(request):
        return
    at = datetime.now(UTC)
    worker = request.hostname or socket.gethostname()
    first = ledger_statements.first_start(task_id, at=at, worker=worker)
    start = partial(
        transitions.start,
        task_id,
        at=at,
        worker=worker,
        retries=request.retries or 0,
        is_redelivered=bool((request.delivery_info or {}).get("redelivered")),
        start_first=first,
    )
    try:
        is_failing = recorder().execute_directly(first) if first else None
        answer = (
            recorder().execute(start)
            if is_failing is None
            else transitions.Start(True, is_failing)
        )
    except DATABASE_ERRORS as error:
        logger.warning(
            LogEvent.RUN_STARTED_UNRECORDED,
            "Starting run %(run_id)s without recording it: %(error)s",
            run_id=task_id,
            error=in_one_line(error),
        )
        ongoing[task_id] = StartedRun(None)
        if not isinstance(error, TimeoutError):  # after that one, the recorder still writes it
            until = at + RETRY_START_TIMEOUT
            recorder().retry_later(partial(transitions.record_unseen_start, task_id, until=until))
        return
    if not answer.is_to_start:
        logger.info(
            LogEvent.MESSAGE_DROPPED,
            "Dropping a message of run %(run_id)s, which has started or was cancelled",
            run_id=task_id,
        )
        request.is_dropped = True
        raise Ignore
    ongoing[task_id] = StartedRun(at, answer.is_failing)


def on_success(sender: Task[Any, Any], result: object, **_: object) -> None:
    """Record a success with its result."""
    request: Any = sender.request
    if not is_sent_by_beat(request):
        return
    started = ongoing.pop(request.id, StartedRun(None))
    at = datetime.now(UTC)
    columns = result_columns(result, arguments=(request.args, request.kwargs))
    if started.at is None:
        write(transitions.end, request.id, at=at, state=Run.State.SUCCEEDED, **columns)
        return
    values = {"at": at, "started_at": started.at, **columns}
    if started.is_failing:
        recorder().enqueue(partial(retry_policy.recover, request.id, **values))
    else:
        fast = ledger_statements.success(request.id, **values)
        recorder().enqueue(fast or partial(transitions.succeed, request.id, **values))


def on_failure(
    sender: Task[Any, Any],
    task_id: str,
    exception: BaseException,
    *,
    args: object,
    kwargs: object,
    einfo: Any = None,
    **_: object,
) -> None:
    """Record an exception, or that the process of a run was killed or has ended."""
    traceback = getattr(einfo, "traceback", "")
    columns = error_columns(exception, traceback, arguments=(args, kwargs))
    if isinstance(exception, WorkerLostError):
        finish_in_main_process(
            retry_policy.fail, task_id, state=Run.State.LOST, reason=LOST, **columns
        )
    elif isinstance(exception, TimeLimitExceeded):
        columns["reason"] = HARD_LIMIT
        finish_in_main_process(retry_policy.fail, task_id, state=Run.State.FAILED, **columns)
    elif task_id in ongoing or is_sent_by_beat(sender.request):
        finish(retry_policy.fail, task_id, state=Run.State.FAILED, reason="", **columns)


def on_retry(sender: Task[Any, Any], request: Any, reason: Any, **_: object) -> None:
    """Record that a run waits for a retry."""
    started = ongoing.pop(request.id, None)
    if started is None or started.at is None:
        return
    why = reason.exc if reason.exc is not None else reason.message
    text = f"Waiting for a retry: {type(why).__name__}: {why}" if reason.exc else str(why or "")
    write(
        transitions.requeue,
        request.id,
        started_at=started.at,
        until=retry_due_at(reason.when) + RETRY_START_TIMEOUT,
        reason=hide(text, (request.args, request.kwargs))[:1000],
    )


def retry_due_at(when: Any) -> datetime:
    """Return when a retry is due, from Celery's seconds from now, time, or None."""
    now = datetime.now(UTC)
    if isinstance(when, datetime):
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    return now + timedelta(seconds=float(when or 0))


def on_postrun(task_id: str, task: Task[Any, Any], state: str, **_: object) -> None:
    """Record the end of a run that sends no other signal: Ignore or Reject."""
    if task_id not in ongoing or getattr(task.request, "is_dropped", False):
        return
    if state == states.IGNORED:
        finish(transitions.end, task_id, state=Run.State.SUCCEEDED, reason=IGNORED)
    elif state == states.REJECTED:
        started = ongoing.pop(task_id)
        if started.at:
            until = datetime.now(UTC) + RETRY_START_TIMEOUT
            write(
                transitions.requeue,
                task_id,
                started_at=started.at,
                until=until,
                reason=REJECTED,
            )


def on_shutdown(**_: object) -> None:
    """Write the remaining records of this process."""
    stop_recorder()


def finish(move: Callable[..., bool], run_id: str, *, state: str, **columns: Any) -> None:
    """Record the end of a run of this process."""
    started = ongoing.pop(run_id, StartedRun(None))
    write(move, run_id, at=datetime.now(UTC), state=state, started_at=started.at, **columns)


def write(move: Callable[..., bool], run_id: str, **values: Any) -> None:
    """Make a move in the ledger; it is repeated later while the database does not answer."""
    job = partial(move, run_id, **values)
    try:
        recorder().execute(job)
    except TimeoutError:
        logger.warning(
            LogEvent.RUN_END_DEFERRED,
            "The end of run %(run_id)s is written when the database answers",
            run_id=run_id,
        )
    except (OperationalError, InterfaceError) as error:
        logger.warning(
            LogEvent.RUN_END_DEFERRED,
            "The end of run %(run_id)s is written later: %(error)s",
            run_id=run_id,
            error=in_one_line(error),
        )
        recorder().retry_later(job)
    except DatabaseError:
        logger.exception(
            LogEvent.RUN_END_NOT_RECORDED,
            "The end of run %(run_id)s cannot be written",
            run_id=run_id,
        )
