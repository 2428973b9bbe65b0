"""Limits on concurrent deliveries: a slow webhook leaves capacity for the others."""

from collections import Counter

THREADS = 16
# At most this many deliveries of one webhook are in flight; one if its latest attempt failed.
# All failing webhooks together use at most half of the threads: the others stay free for
# receivers that answer.
PER_WEBHOOK = 4
PER_FAILING_WEBHOOK = 1
FOR_FAILING_WEBHOOKS = THREADS // 2


class ConcurrencyLimit:
    """The number of deliveries in flight, and how many more may start."""

    def __init__(self) -> None:
        self.in_flight: Counter[int] = Counter()
        self.failing: set[int] = set()

    def left(self) -> int:
        """Return how many more deliveries may start."""
        return THREADS - self.in_flight.total()

    def left_for(self, webhook_id: int) -> int:
        """Return how many more deliveries to a webhook may start."""
        if webhook_id not in self.failing:
            return PER_WEBHOOK - self.in_flight[webhook_id]
        failing = sum(self.in_flight[other] for other in self.failing)
        return min(
            PER_FAILING_WEBHOOK - self.in_flight[webhook_id], FOR_FAILING_WEBHOOKS - failing
        )

    def exhausted(self) -> list[int]:
        """Return the webhooks to which no more deliveries may start."""
        known = {*self.in_flight, *self.failing}
        return [webhook_id for webhook_id in known if self.left_for(webhook_id) < 1]

    def copy(self) -> "ConcurrencyLimit":
        """Return a copy, for planning."""
        other = ConcurrencyLimit()
        other.in_flight, other.failing = self.in_flight.copy(), self.failing.copy()
        return other

    def enter(self, webhook_id: int) -> None:
        """Count a delivery that starts."""
        self.in_flight[webhook_id] += 1

    def leave(self, webhook_id: int, *, has_failed: bool) -> None:
        """Count a delivery that ended."""
        self.in_flight[webhook_id] -= 1
        self.in_flight += Counter()  # drops webhooks with none in flight
        (self.failing.add if has_failed else self.failing.discard)(webhook_id)
