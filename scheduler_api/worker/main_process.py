"""Records ends of runs in the main process of a worker: it forks, so it has no recorder."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from celery.exceptions import NotRegistered
from django.db import DatabaseError, InterfaceError, connection

from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.runs import retry_policy, transitions
from scheduler_api.runs.models import Run
from scheduler_api.runs.results import error_columns
from scheduler_api.worker.fork_lock import fork_lock
from scheduler_api.worker.process_recorder import ongoing

REVOKED = "It was revoked before it started."
TERMINATED = "It was terminated while it ran."
EXPIRED = "No worker started it before its message expired."
UNKNOWN = "The worker that received its message does not know the task {!r}, and dropped it."

logger = EventLogger(__name__)


def is_sent_by_beat(request: Any) -> bool:
    """Return whether beat has sent a message."""
    return getattr(request, "periodic_task_name", None) is not None


def on_revoked(request: Any, terminated: bool, expired: bool, **_: object) -> None:
    """Record that a run will not start, or was terminated."""
    if not is_sent_by_beat(request):
        return
    if expired:
        finish_in_main_process(
            transitions.end, request.id, state=Run.State.EXPIRED, reason=EXPIRED
        )
    else:
        reason = TERMINATED if terminated else REVOKED
        finish_in_main_process(
            transitions.end, request.id, state=Run.State.CANCELLED, reason=reason
        )


def on_unknown(message: Any, exc: Exception, name: str, id: str, **_: object) -> None:  # noqa: A002
    """Record that a worker has dropped a message because it does not know the task."""
    if "periodic_task_name" in message.headers:
        columns = error_columns(NotRegistered(name), "")
        columns["reason"] = UNKNOWN.format(name)
        finish_in_main_process(retry_policy.fail, id, state=Run.State.FAILED, **columns)


def finish_in_main_process(
    move: Callable[..., bool], run_id: str, *, state: str, **columns: Any
) -> None:
    """Record the end of a run that another process, or none, has run.

    It writes at once and without a thread, because the main process forks.
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
