"""The messages of runs: sent by beat, or of tasks that replace a run's own task."""

from datetime import datetime
from typing import Any, NamedTuple

from scheduler_api.worker.process_recorder import StartedRun

HEADER = "scheduler_run"


class Part(NamedTuple):
    """The run of a replacing task, and the start that it replaces; None if not recorded."""

    run_id: str
    started_at: datetime | None

    def as_started(self, *, is_failing: bool = False) -> StartedRun:
        """Return the run as one that this process has started."""
        return StartedRun(self.started_at, is_failing, self.run_id)

    def as_header(self) -> str:
        """Return the value of the message header."""
        return f"{self.run_id} {self.started_at.isoformat()}" if self.started_at else self.run_id


def is_sent_by_beat(request: Any) -> bool:
    """Return whether beat has sent a message."""
    return getattr(request, "periodic_task_name", None) is not None


def part_of(request: Any) -> Part | None:
    """Return the run that a message replaces a task of; None for any other message.

    The message of a run itself is none: a caller chooses its headers.
    """
    text = getattr(request, HEADER, None)
    if not isinstance(text, str) or is_sent_by_beat(request):
        return None
    run_id, _, started_at = text.partition(" ")
    return Part(run_id, datetime.fromisoformat(started_at) if started_at else None)
