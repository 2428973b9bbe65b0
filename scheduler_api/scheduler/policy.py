"""What becomes of the slots that have come: pure decisions."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum

from scheduler_api.periodic_tasks.models import ManagedTask

Misfire = ManagedTask.Misfire
Overlap = ManagedTask.Overlap

# So many late slots are sent under run_all: the latest ones.
MAX_CATCHUP = 100


def missed_among(
    due: Sequence[datetime],
    *,
    misfire: str,
    catchup_window: timedelta,
    grace: timedelta,
    now: datetime,
) -> int:
    """Return how many slots are missed, from the first on, of those that have come.

    `due` is when each was due, in ascending order, the latest not after `now`. A slot is late once
    `grace` has gone by since. Those that are not late are sent. Of the late ones, `skip` misses
    all; `run_all` sends the latest MAX_CATCHUP; under `run_once` the latest of all slots that have
    come, late or not, is sent in the place of all. What is later than `catchup_window` is missed.
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


class Verdict(Enum):
    """What becomes of a run that is to be sent while earlier ones of its task have not ended."""

    NOW = "now"
    HELD = "held"
    SKIPPED = "skipped"
    INSTEAD = "instead"  # of those that have not ended: they are cancelled


def decide(overlap: str, *, active: int, held: int) -> Verdict:
    """Decide about a run, given how many of its task have not ended, and how many are held."""
    if not active or overlap == Overlap.ALLOW:
        return Verdict.NOW
    if overlap == Overlap.CANCEL_PREVIOUS:
        return Verdict.INSTEAD
    if overlap == Overlap.BUFFER_ONE and not held:
        return Verdict.HELD
    return Verdict.SKIPPED
