"""The runs of this process, and the recorder that writes their ends."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from django.db import DatabaseError, InterfaceError, OperationalError

from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.worker.recorder import Recorder

logger = EventLogger(__name__)


class StartedRun(NamedTuple):
    """A run of this process.

    `at` is when it started; None if the start was not recorded. `is_failing` says whether earlier
    runs of the same periodic task have failed, so that a success ends that streak. `run_id` is
    set for a task that replaces the run's own.
    """

    at: datetime | None
    is_failing: bool = False
    run_id: str = ""


class OngoingRuns(dict[str, StartedRun]):
    """The runs of this process, by the id of the task."""

    def run_ids(self) -> list[str]:
        """Return the ids of the runs, from any thread."""
        return [started.run_id or task_id for task_id, started in list(self.items())]


ongoing = OngoingRuns()
_recorder: tuple[int, Recorder] | None = None


def recorder() -> Recorder:
    """Return the recorder of this process; starts it on first use."""
    global _recorder  # noqa: PLW0603 - a forked process has no threads of its parent
    if _recorder is None or _recorder[0] != os.getpid():
        ongoing.clear()
        _recorder = os.getpid(), Recorder(ongoing.run_ids)
        _recorder[1].start()
    return _recorder[1]


def stop_recorder() -> None:
    """Write the remaining records, and end the recorder, if this process has one."""
    if _recorder is not None and _recorder[0] == os.getpid():
        _recorder[1].stop()


def finish(move: Callable[..., bool], task_id: str, *, state: str, **columns: Any) -> None:
    """Record the end of a run of this process."""
    started = ongoing.pop(task_id, StartedRun(None))
    run_id = started.run_id or task_id
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
