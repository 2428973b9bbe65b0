"""Limits on concurrent deliveries: the threads are shared fairly among the owners of webhooks.

An owner may hold as many threads as are free, so that one owner leaves half of them to others, and
two owners a third. The next free thread goes to the owner with the fewest deliveries in flight.
docs/decisions/0018-webhooks.md gives the reasons.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

THREADS = 16
# At most this many deliveries of one webhook are in flight; one if its latest attempt failed or
# was slow. All such webhooks together use at most half of the threads.
PER_WEBHOOK = 4
PER_THROTTLED_WEBHOOK = 1
FOR_THROTTLED_WEBHOOKS = THREADS // 2
SLOW = timedelta(seconds=2)


class Recipient(NamedTuple):
    """A webhook and its owner."""

    owner_id: int
    webhook_id: int


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """The due deliveries of a webhook."""

    recipient: Recipient
    count: int
    first_at: datetime


class ConcurrencyLimit:
    """The deliveries in flight, and which others may start."""

    def __init__(self) -> None:
        self.in_flight: Counter[Recipient] = Counter()
        self.throttled: set[int] = set()

    def left(self) -> int:
        """Return how many more deliveries may start."""
        return THREADS - self.in_flight.total()

    def may_start(self, recipient: Recipient) -> bool:
        """Return whether a delivery to a webhook may start."""
        own = self.in_flight_of(recipient.owner_id)
        if own >= self.left():
            return False
        if recipient.webhook_id not in self.throttled:
            return self.in_flight[recipient] < PER_WEBHOOK
        throttled = {
            other: count
            for other, count in self.in_flight.items()
            if other.webhook_id in self.throttled
        }
        left = FOR_THROTTLED_WEBHOOKS - sum(throttled.values())
        own = sum(n for other, n in throttled.items() if other.owner_id == recipient.owner_id)
        return self.in_flight[recipient] < PER_THROTTLED_WEBHOOK and own < left

    def in_flight_of(self, owner_id: int) -> int:
        """Return the number of deliveries of an owner in flight."""
        return sum(count for other, count in self.in_flight.items() if other.owner_id == owner_id)

    def copy(self) -> "ConcurrencyLimit":
        """Return a copy, for planning."""
        other = ConcurrencyLimit()
        other.in_flight, other.throttled = self.in_flight.copy(), self.throttled.copy()
        return other

    def enter(self, recipient: Recipient) -> None:
        """Count a delivery that starts."""
        self.in_flight[recipient] += 1

    def leave(self, recipient: Recipient, *, has_failed: bool, duration: timedelta) -> None:
        """Count a delivery that ended."""
        self.in_flight[recipient] -= 1
        self.in_flight += Counter()  # drops webhooks with none in flight
        is_throttled = has_failed or duration >= SLOW
        (self.throttled.add if is_throttled else self.throttled.discard)(recipient.webhook_id)


def share(backlogs: Iterable[Backlog], limit: ConcurrencyLimit) -> dict[Recipient, int]:
    """Return how many deliveries of each webhook start next, the first to start first.

    Each thread goes to the owner with the fewest deliveries in flight, then to the webhook with
    the fewest, then to the one that waits longest.
    """
    waiting = {backlog.recipient: backlog.count for backlog in backlogs}
    first_at = {backlog.recipient: backlog.first_at for backlog in backlogs}
    planned, chosen = limit.copy(), Counter[Recipient]()
    while recipients := [
        each for each, count in waiting.items() if chosen[each] < count and planned.may_start(each)
    ]:
        following = min(
            recipients,
            key=lambda each: (
                planned.in_flight_of(each.owner_id),
                planned.in_flight[each],
                first_at[each],
                each,
            ),
        )
        planned.enter(following)
        chosen[following] += 1
    return {each: count for each, count in chosen.items() if count}
