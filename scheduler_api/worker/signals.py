"""Records the start and the end of each run, in the process that runs its task.

Celery's hooks call these functions for every task of the project, without a change to the task.
Only messages that beat has sent are recorded, which have a header `periodic_task_name`, and those
of tasks that replace a run's own (`replacements`).
What this process has no time for (a hard time limit, a lost process, a revocation), the worker's
main process records: see main_process.
"""

import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from time import monotonic, sleep
from typing import Any, NoReturn

from billiard.common import terminate_handler_fired  # type: ignore[attr-defined]
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import signals, states
from celery.app.task import Task
from celery.exceptions import Ignore, Reject
from django.db import DatabaseError, InterfaceError

from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.runs import retry_policy, transitions
from scheduler_api.runs.models import Run
from scheduler_api.runs.results import (
    error_columns,
    result_columns,
    traceback_of,
)
from scheduler_api.worker import ledger_statements, replacements, unreadable_messages
from scheduler_api.worker.main_process import (
    finish_in_main_process,
    on_revoked,
)
from scheduler_api.worker.message_logs import hide_secrets_in_reports
from scheduler_api.worker.prepared_statements import BoundStatement
from scheduler_api.worker.process_recorder import (
    StartedRun,
    finish,
    ongoing,
    recorder,
    stop_recorder,
    write,
)
from scheduler_api.worker.redeliveries import RETRY_START_TIMEOUT, on_reject, on_retry
from scheduler_api.worker.run_messages import Part, is_sent_by_beat, part_of

REQUEUE_TIMEOUT_SECONDS, REQUEUE_INTERVAL_SECONDS = 3, 0.1
DATABASE_ERRORS = (DatabaseError, InterfaceError, TimeoutError)
HARD_LIMIT = "It ran longer than its hard time limit, and its process was killed."
IGNORED = "The task raised Ignore."
LOST = "The process that ran it ended unexpectedly."

logger = EventLogger(__name__)


def connect() -> None:
    """Connect the handlers to Celery. Calling it again changes nothing."""
    # Replaces a method that does nothing, so that it runs for every task. A task with a method of
    # its own calls this one by `super()`.
    Task.before_start = before_start  # type: ignore[method-assign, assignment]
    Task.on_replace = replacements.on_replace  # type: ignore[method-assign, assignment]
    signals.task_received.connect(replacements.on_received)
    unreadable_messages.connect()
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
    part = part_of(request)
    if part is None and not is_sent_by_beat(request):
        return
    if part is not None and replacements.is_poll(request):
        drop_poll_of_ended_run(request, part)
        return
    at = datetime.now(UTC)
    worker = request.hostname or socket.gethostname()
    first = None
    start: Callable[[], transitions.Start]
    if part is None:
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
    else:
        start = replacements.start_of(part, at=at, worker=worker, is_retry=bool(request.retries))
    try:
        answer = answer_to(start, first, task_id=task_id, retries=request.retries or 0)
    except DATABASE_ERRORS as error:
        logger.warning(
            LogEvent.RUN_STARTED_UNRECORDED,
            "Starting run %(run_id)s without recording it: %(error)s",
            run_id=task_id,
            error=in_one_line(error),
        )
        ongoing[task_id] = part.as_started() if part else StartedRun(None)
        # After a timeout, the recorder still writes the start.
        if part is None and not isinstance(error, TimeoutError):
            until = at + RETRY_START_TIMEOUT
            recorder().retry_later(partial(transitions.record_unseen_start, task_id, until=until))
        return
    if not answer.is_to_start:
        drop(request)
    is_failing = answer.is_failing
    ongoing[task_id] = (
        part.as_started(is_failing=is_failing) if part else StartedRun(at, is_failing)
    )


def drop_poll_of_ended_run(request: Any, part: Part) -> None:
    """Drop a task that waits for others if they will not run; let it wait without the database."""
    is_active = partial(transitions.is_active, part.run_id, started_at=part.started_at)
    with suppress(*DATABASE_ERRORS):
        if not recorder().execute(is_active):
            drop(request)


def drop(request: Any) -> NoReturn:
    """Drop a message, which the worker then acknowledges."""
    logger.info(
        LogEvent.MESSAGE_DROPPED,
        "Dropping a message of run %(run_id)s, which has started or was cancelled",
        run_id=request.id,
    )
    request.is_dropped = True
    raise Ignore


def answer_to(
    start: Callable[[], transitions.Start],
    first: BoundStatement | None,
    *,
    task_id: str,
    retries: int,
) -> transitions.Start:
    """Record a start, the fast way if it is the first; return whether the task may run.

    Celery publishes a retry a moment before the process of the earlier attempt records that the
    run waits for it. A retry that comes before that waits, too.
    """
    is_failing = recorder().execute_directly(first) if first else None
    if is_failing is not None:
        return transitions.Start(True, is_failing)
    answer = recorder().execute(start)
    deadline = monotonic() + REQUEUE_TIMEOUT_SECONDS
    while (
        retries
        and not answer.is_to_start
        and monotonic() < deadline
        and recorder().execute(partial(transitions.is_running, task_id))
    ):
        sleep(REQUEUE_INTERVAL_SECONDS)
        answer = recorder().execute(start)
    return answer


def on_success(sender: Task[Any, Any], result: object, **_: object) -> None:
    """Record a success with its result."""
    request: Any = sender.request
    started = ongoing.pop(request.id, None)
    if started is None:
        if not is_sent_by_beat(request):
            return
        started = StartedRun(None)
    if started.run_id and started.run_id != request.id:
        recorder().enqueue(replacements.end_part(started.run_id, started.at))
        return
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
    if isinstance(exception, WorkerLostError | TimeLimitExceeded):
        columns = error_columns(
            exception, getattr(einfo, "traceback", ""), arguments=(args, kwargs)
        )
        is_lost = isinstance(exception, WorkerLostError)
        columns["reason"] = LOST if is_lost else HARD_LIMIT
        part = replacements.received_part(task_id)
        finish_in_main_process(
            retry_policy.fail,
            part.run_id if part else task_id,
            state=Run.State.LOST if is_lost else Run.State.FAILED,
            started_at=part and part.started_at,
            **columns,
        )
    elif task_id in ongoing or is_sent_by_beat(sender.request):
        # Celery reports an exception that can be pickled, while the real one is being handled.
        error = sys.exc_info()[1] or exception
        is_real = error is exception
        traceback = getattr(einfo, "traceback", "") if is_real else traceback_of(error)
        fail(task_id, error, traceback, arguments=(args, kwargs))


def on_postrun(
    task_id: str, task: Task[Any, Any], state: str | None, retval: object, **_: object
) -> None:
    """Record the end of a run that sends no other signal."""
    request: Any = task.request
    if task_id not in ongoing or getattr(request, "is_dropped", False):
        return
    if state == states.IGNORED:
        if getattr(request, "is_replaced", False):
            del ongoing[task_id]
        else:
            finish(transitions.end, task_id, state=Run.State.SUCCEEDED, reason=IGNORED)
    elif state == states.REJECTED and isinstance(retval, Reject):
        on_reject(task, task_id, retval)
    elif (error := sys.exc_info()[1]) and not terminate_handler_fired():
        # It passes Celery by: SystemExit, KeyboardInterrupt, or an error of a result backend. If
        # a signal ends the process, the main process records why.
        fail(task_id, error, traceback_of(error), arguments=(request.args, request.kwargs))


def on_shutdown(**_: object) -> None:
    """Write the remaining records of this process."""
    stop_recorder()


def fail(task_id: str, error: BaseException, traceback: str, *, arguments: object) -> None:
    """Record that a run of this process failed with an exception."""
    columns = error_columns(error, traceback, arguments=arguments)
    finish(retry_policy.fail, task_id, state=Run.State.FAILED, reason="", **columns)
