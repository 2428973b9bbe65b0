"""Retry policy of deliveries: when a failed one is sent again, and when it is given up."""

import random
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from http.client import HTTPMessage

from scheduler_api.backoff import jittered
from scheduler_api.outbound.client import is_success

RETRY_DELAYS = [
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
MAX_ATTEMPTS = len(RETRY_DELAYS) + 1
# A delay grows by up to this part of itself, so that deliveries that failed together are not sent
# together.
JITTER = 0.25
MAX_RETRY_AFTER = timedelta(days=1)
GONE = 410
# The statuses with which a receiver may send Retry-After.
RETRY_AFTER_STATUSES = {429, 503}


class DeliveryDecision(Enum):
    """The next step of a delivery after an attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD = "dead"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class AttemptResult:
    """The result of an attempt: the status of the response, or the error without one."""

    status: int | None = None
    error: str = ""
    retry_after: timedelta | None = None
    """The delay that the receiver asked for, if any."""
    duration: timedelta = timedelta(0)


def decide(result: AttemptResult, *, attempts: int) -> DeliveryDecision:
    """Decide on a delivery after its `attempts`-th attempt."""
    if is_success(result.status):
        return DeliveryDecision.DELIVERED
    if result.status == GONE:
        return DeliveryDecision.GONE
    return DeliveryDecision.RETRY if attempts < MAX_ATTEMPTS else DeliveryDecision.DEAD


def delay_after(result: AttemptResult, *, attempts: int, rng: random.Random) -> timedelta:
    """Return the delay before the next attempt."""
    delay = RETRY_DELAYS[min(attempts, len(RETRY_DELAYS)) - 1]
    return jittered(max(delay, result.retry_after or delay), jitter=JITTER, rng=rng)


def retry_after_in(status: int, headers: HTTPMessage) -> timedelta | None:
    """Parse `Retry-After` in seconds; None for a date or an invalid value, which are ignored."""
    text = headers.get("Retry-After") or ""
    if status not in RETRY_AFTER_STATUSES:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004
        return None
    return min(timedelta(seconds=int(text)), MAX_RETRY_AFTER)
