"""What a worker makes of a run, by the hooks that Celery has for it.

Every task of the project is recorded without a change to it, where beat has sent it: others have
no `periodic_task_name` in their message, and are left alone. In the process that runs a task, its
start and its end are written; in the worker's main process, what the other had no time to: a hard
time limit, a loss, a revocation.
"""

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import signals, states
from celery.app.task import Task
from celery.exceptions import Ignore, NotRegistered
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.runs import retry_policy, transitions
from scheduler_api.runs.models import Run
from scheduler_api.runs.results import error_columns, hide, result_columns
from scheduler_api.worker.fork_lock import fork_lock
from scheduler_api.worker.recorder import Recorder

DATABASE_ERRORS = (DatabaseError, InterfaceError, TimeoutError)
# So long after the moment at which it was to be tried again, a run that nobody tells of is lost.
RETRY_START_TIMEOUT = timedelta(hours=1)
HARD_LIMIT = "It ran longer than its hard time limit, and its process was killed."
REVOKED = "It was revoked before it started."
TERMINATED = "It was terminated while it ran."
TOO_OLD = "It waited for a worker longer than its message lives."
IGNORED = "The task raised Ignore."
UNKNOWN = "The worker that had its message does not know the task {!r}, and threw it away."
LOST = "The process that ran it is gone."

logger = EventLogger(__name__)


class Started(NamedTuple):
    """A run of this process: when it started; None where the ledger could not be told."""

    at: datetime | None
    is_failing: bool = False


# By id, the runs of this process.
ongoing: dict[str, Started] = {}
_recorder: tuple[int, Recorder] | None = None


def connect() -> None:
    """Have Celery call what is here. Each is connected once, however often it is called."""
    # It takes the place of a method that does nothing, so that every task is asked; one with a
    # method of its own calls that of `super()`.
    Task.before_start = before_start  # type: ignore[method-assign, assignment]
    signals.task_success.connect(on_success)
    signals.task_failure.connect(on_failure)
    signals.task_retry.connect(on_retry)
    signals.task_revoked.connect(on_revoked)
    signals.task_unknown.connect(on_unknown)
    signals.task_postrun.connect(on_postrun)
    signals.worker_process_shutdown.connect(on_shutdown)
    signals.worker_shutdown.connect(on_shutdown)  # where tasks run in the main process


def recorder() -> Recorder:
    """Return the recorder of this process."""
    global _recorder  # noqa: PLW0603 - a process that was forked has no threads of its parent
    if _recorder is None or _recorder[0] != os.getpid():
        ongoing.clear()
        _recorder = os.getpid(), Recorder(ongoing)
        _recorder[1].start()
    return _recorder[1]


# --- In the process that runs a task ----------------------------------------------------------


def before_start(task: Task[Any, Any], task_id: str, args: object, kwargs: object) -> None:
    """Note that a run starts; drop a message whose run has started, or is not to start.

    Beat publishes again, under the same id, what a crash or the broker has left in doubt: it may
    have arrived. What the ledger does not know is run, and so is everything while the database
    does not answer.
    """
    request: Any = task.request
    if not is_sent_by_beat(request):
        return
    at = datetime.now(UTC)
    worker = request.hostname or socket.gethostname()
    first = transitions.first_start(task_id, at=at, worker=worker)
    start = partial(
        transitions.start,
        task_id,
        at=at,
        worker=worker,
        retries=request.retries or 0,
        is_redelivered=bool((request.delivery_info or {}).get("redelivered")),
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
        ongoing[task_id] = Started(None)
        if not isinstance(error, TimeoutError):  # that start is told later
            until = at + RETRY_START_TIMEOUT
            recorder().retry_later(partial(transitions.start_unseen, task_id, until=until))
        return
    if not answer.is_to_start:
        logger.info(
            LogEvent.MESSAGE_DROPPED,
            "Dropping a message of run %(run_id)s, which has started or was cancelled",
            run_id=task_id,
        )
        request.is_dropped = True
        raise Ignore
    ongoing[task_id] = Started(at, answer.is_failing)


def is_sent_by_beat(request: Any) -> bool:
    """Tell whether beat has sent a message."""
    return getattr(request, "periodic_task_name", None) is not None


def on_success(sender: Task[Any, Any], result: object, **_: object) -> None:
    """Note a result."""
    request: Any = sender.request
    if not is_sent_by_beat(request):
        return
    started = ongoing.pop(request.id, Started(None))
    at = datetime.now(UTC)
    columns = result_columns(result, arguments=(request.args, request.kwargs))
    if started.at is None:
        write(transitions.end, request.id, at=at, state=Run.State.SUCCEEDED, **columns)
        return
    values = {"at": at, "started_at": started.at, **columns}
    if started.is_failing:
        recorder().enqueue(partial(retry_policy.recover, request.id, **values))
    else:
        recorder().enqueue(transitions.success(request.id, **values))


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
    """Note an exception; of another process, that it was killed or is gone."""
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
    """Note that a run is to be tried again: it waits."""
    started = ongoing.pop(request.id, None)
    if started is None or started.at is None:
        return
    why = reason.exc if reason.exc is not None else reason.message
    text = f"It is tried again: {type(why).__name__}: {why}" if reason.exc else str(why or "")
    write(
        transitions.wait_again,
        request.id,
        started_at=started.at,
        until=retry_due_at(reason.when) + RETRY_START_TIMEOUT,
        reason=hide(text, (request.args, request.kwargs))[:1000],
    )


def retry_due_at(when: Any) -> datetime:
    """Return when a retry is due: Celery tells seconds from now, or a moment, or nothing."""
    now = datetime.now(UTC)
    if isinstance(when, datetime):
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    return now + timedelta(seconds=float(when or 0))


def on_postrun(task_id: str, task: Task[Any, Any], state: str, **_: object) -> None:
    """Note the end of a run of which no other signal has told."""
    if task_id not in ongoing or getattr(task.request, "is_dropped", False):
        return
    if state == states.IGNORED:
        finish(transitions.end, task_id, state=Run.State.SUCCEEDED, reason=IGNORED)
    elif state == states.REJECTED:
        started = ongoing.pop(task_id)
        if started.at:
            until = datetime.now(UTC) + RETRY_START_TIMEOUT
            write(
                transitions.wait_again,
                task_id,
                started_at=started.at,
                until=until,
                reason="The task raised Reject.",
            )


def on_shutdown(**_: object) -> None:
    """Write what this process has not written yet."""
    if _recorder is not None and _recorder[0] == os.getpid():
        _recorder[1].stop()


def finish(move: Callable[..., bool], run_id: str, *, state: str, **columns: Any) -> None:
    """Note how a run of this process has ended."""
    started = ongoing.pop(run_id, Started(None))
    write(move, run_id, at=datetime.now(UTC), state=state, started_at=started.at, **columns)


def write(move: Callable[..., bool], run_id: str, **values: Any) -> None:
    """Make a move in the ledger; what the database does not take is written later."""
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


# --- In the worker's main process -------------------------------------------------------------


def on_revoked(request: Any, terminated: bool, expired: bool, **_: object) -> None:
    """Note that a run will not start, or was ended."""
    if not is_sent_by_beat(request):
        return
    if expired:
        finish_in_main_process(
            transitions.end, request.id, state=Run.State.EXPIRED, reason=TOO_OLD
        )
    else:
        reason = TERMINATED if terminated else REVOKED
        finish_in_main_process(
            transitions.end, request.id, state=Run.State.CANCELLED, reason=reason
        )


def on_unknown(message: Any, exc: Exception, name: str, id: str, **_: object) -> None:  # noqa: A002
    """Note that a worker has thrown a message away whose task it does not know."""
    if "periodic_task_name" in message.headers:
        columns = error_columns(NotRegistered(name), "")
        columns["reason"] = UNKNOWN.format(name)
        finish_in_main_process(retry_policy.fail, id, state=Run.State.FAILED, **columns)


def finish_in_main_process(
    move: Callable[..., bool], run_id: str, *, state: str, **columns: Any
) -> None:
    """Note how a run has ended that another process, or none, has run.

    At once, and without a thread: the main process forks.
    """
    ongoing.pop(run_id, None)
    with fork_lock:
        try:
            move(run_id, at=datetime.now(UTC), state=state, **columns)
        except (DatabaseError, InterfaceError) as error:
            logger.warning(
                LogEvent.RUN_END_NOT_RECORDED,
                "The end of run %(run_id)s is not recorded: %(error)s",
                run_id=run_id,
                error=in_one_line(error),
            )
        finally:
            connection.close()
