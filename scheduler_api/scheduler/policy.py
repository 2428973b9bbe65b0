"""Decide between sending, missing, buffering and skipping slots: pure functions."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum

from scheduler_api.periodic_tasks.models import ManagedTask

Misfire = ManagedTask.Misfire
Overlap = ManagedTask.Overlap

# Under `run_all`, at most this many late slots are sent: the latest ones.
MAX_CATCHUP = 100


def missed_among(
    due: Sequence[datetime],
    *,
    misfire: str,
    catchup_window: timedelta,
    grace: timedelta,
    now: datetime,
) -> int:
    """Return the number of missed slots among the slots that are due: the first n are missed.

    `due` has the due time of each slot, in ascending order, the latest not after `now`. A slot is
    late if it was due more than `grace` ago. Slots that are not late are sent. Of the late slots,
    `skip` misses all; `run_all` sends the latest MAX_CATCHUP; `run_once` sends only the latest of
    all due slots, late or not. Slots due more than `catchup_window` ago are missed.
    """
    late = bisect_left(due, now - grace)
    if not late:
        return 0
    too_late = min(bisect_left(due, now - catchup_window), late)
    match misfire:
        case Misfire.SKIP:
            return late
        case Misfire.RUN_ALL:
            return max(too_late, late - MAX_CATCHUP)
        case _:
            return max(too_late, len(due) - 1)


class OverlapDecision(Enum):
    """What to do with a run while earlier runs of its task have not ended."""

    SEND = "send"
    BUFFER = "buffer"
    SKIP = "skip"
    REPLACE = "replace"  # cancel the earlier runs and send this one


def decide(overlap: str, *, active: int, buffered: int) -> OverlapDecision:
    """Apply an overlap policy to a run.

    `active` is the number of runs of the same task that have not ended, `buffered` the number of
    buffered runs among them.
    """
    if not active or overlap == Overlap.ALLOW:
        return OverlapDecision.SEND
    if overlap == Overlap.CANCEL_PREVIOUS:
        return OverlapDecision.REPLACE
    if overlap == Overlap.BUFFER_ONE and not buffered:
        return OverlapDecision.BUFFER
    return OverlapDecision.SKIP
