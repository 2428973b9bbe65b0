"""The runs of this process, and the recorder that writes their ends."""

import os
from datetime import datetime
from typing import NamedTuple

from scheduler_api.worker.recorder import Recorder


class StartedRun(NamedTuple):
    """A run of this process.

    `at` is when it started; None if the start was not recorded. `is_failing` says whether earlier
    runs of the same periodic task have failed, so that a success ends that streak.
    """

    at: datetime | None
    is_failing: bool = False


# The runs of this process, by id.
ongoing: dict[str, StartedRun] = {}
_recorder: tuple[int, Recorder] | None = None


def recorder() -> Recorder:
    """Return the recorder of this process; starts it on first use."""
    global _recorder  # noqa: PLW0603 - a forked process has no threads of its parent
    if _recorder is None or _recorder[0] != os.getpid():
        ongoing.clear()
        _recorder = os.getpid(), Recorder(ongoing)
        _recorder[1].start()
    return _recorder[1]


def stop_recorder() -> None:
    """Write the remaining records, and end the recorder, if this process has one."""
    if _recorder is not None and _recorder[0] == os.getpid():
        _recorder[1].stop()
