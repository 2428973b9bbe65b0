"""Records ends of runs in the main process of a worker: it forks, so it has no recorder."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db import DatabaseError, InterfaceError, connection

from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.runs import transitions
from scheduler_api.runs.models import Run
from scheduler_api.worker.fork_lock import fork_lock
from scheduler_api.worker.process_recorder import ongoing
from scheduler_api.worker.run_messages import is_sent_by_beat, part_of

REVOKED = "It was revoked before it started."
TERMINATED = "It was terminated while it ran."
EXPIRED = "No worker started it before its message expired."
UNKNOWN = "The worker {} got its message, does not have the task {!r}, and gave the message back."

logger = EventLogger(__name__)


def on_revoked(request: Any, terminated: bool, expired: bool, **_: object) -> None:
    """Record that a run will not start, or was terminated."""
    part = part_of(request)
    if part is None and not is_sent_by_beat(request):
        return
    state = Run.State.EXPIRED if expired else Run.State.CANCELLED
    reason = EXPIRED if expired else TERMINATED if terminated else REVOKED
    run_id, started_at = part or (request.id, None)
    finish_in_main_process(
        transitions.end, run_id, state=state, reason=reason, started_at=started_at
    )


def note_unknown_task(run_id: str, task: str, *, worker: str) -> None:
    """Record that a worker without the task of a run has given its message back."""
    write_in_main_process(
        transitions.note_while_queued, run_id, reason=UNKNOWN.format(worker, task)
    )


def finish_in_main_process(
    move: Callable[..., bool], run_id: str, *, state: str, **columns: Any
) -> None:
    """Record the end of a run that another process, or none, has run."""
    ongoing.pop(run_id, None)
    write_in_main_process(move, run_id, at=datetime.now(UTC), state=state, **columns)


def write_in_main_process(move: Callable[..., bool], run_id: str, **columns: Any) -> None:
    """Make a move in the ledger, at once and without a thread, because this process forks."""
    with fork_lock:
        try:
            move(run_id, **columns)
        except (DatabaseError, InterfaceError) as error:
            logger.warning(
                LogEvent.RUN_END_NOT_RECORDED,
                "A report on run %(run_id)s is not recorded: %(error)s",
                run_id=run_id,
                error=in_one_line(error),
            )
        finally:
            connection.close()
