"""When a delivery that has failed is sent again, and when it is given up."""

import random
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from http.client import HTTPMessage

from scheduler_api.backoff import jittered
from scheduler_api.outbound.client import is_success

DELAYS = [
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(hours=24),
]
MAX_ATTEMPTS = len(DELAYS) + 1
# Each delay is longer by up to so much of itself: what failed together is not sent together.
JITTER = 0.25
LONGEST_WISH = timedelta(days=1)
GONE = 410
# With these, a receiver may say how long it wants to be left alone.
BUSY = {429, 503}


class Verdict(Enum):
    """What becomes of a delivery after an attempt."""

    DELIVERED = "delivered"
    AGAIN = "again"
    DEAD = "dead"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What has come of an attempt: a status, or why there was none."""

    status: int | None = None
    error: str = ""
    retry_after: timedelta | None = None
    """How long the receiver wants to be left alone, where it says so."""


def judge(outcome: Outcome, *, attempts: int) -> Verdict:
    """Decide on a delivery that was sent so often."""
    if is_success(outcome.status):
        return Verdict.DELIVERED
    if outcome.status == GONE:
        return Verdict.GONE
    return Verdict.AGAIN if attempts < MAX_ATTEMPTS else Verdict.DEAD


def delay_after(outcome: Outcome, *, attempts: int, rng: random.Random) -> timedelta:
    """Return how long to wait after so many attempts."""
    delay = DELAYS[min(attempts, len(DELAYS)) - 1]
    return jittered(max(delay, outcome.retry_after or delay), jitter=JITTER, rng=rng)


def wish_in(status: int, headers: HTTPMessage) -> timedelta | None:
    """Read `Retry-After` in seconds; what is a date, or no number, is no wish."""
    text = headers.get("Retry-After") or ""
    if status not in BUSY or not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004
        return None
    return min(timedelta(seconds=int(text)), LONGEST_WISH)
