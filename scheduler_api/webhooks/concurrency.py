"""Who may have how many messages on their way: one that is slow leaves room for the others."""

from collections import Counter

THREADS = 16
# Of one webhook, so many are on their way at once; of one whose last try failed, one. All that
# failed together take half of the threads at most: the others are for those that answer.
PER_WEBHOOK = 4
PER_FAILING_WEBHOOK = 1
FOR_FAILING_WEBHOOKS = THREADS // 2


class Room:
    """How many messages may be on their way, and to whom."""

    def __init__(self) -> None:
        self.under_way: Counter[int] = Counter()
        self.failing: set[int] = set()

    def left(self) -> int:
        """Return how many more may be sent at all."""
        return THREADS - self.under_way.total()

    def left_for(self, webhook_id: int) -> int:
        """Return how many more may be sent to a webhook."""
        if webhook_id not in self.failing:
            return PER_WEBHOOK - self.under_way[webhook_id]
        of_all = sum(self.under_way[other] for other in self.failing)
        return min(PER_FAILING_WEBHOOK - self.under_way[webhook_id], FOR_FAILING_WEBHOOKS - of_all)

    def full(self) -> list[int]:
        """Return the webhooks that have had their share."""
        known = {*self.under_way, *self.failing}
        return [webhook_id for webhook_id in known if self.left_for(webhook_id) < 1]

    def copy(self) -> "Room":
        """Return another, to plan with."""
        other = Room()
        other.under_way, other.failing = self.under_way.copy(), self.failing.copy()
        return other

    def enter(self, webhook_id: int) -> None:
        """Note that a message is on its way."""
        self.under_way[webhook_id] += 1

    def leave(self, webhook_id: int, *, has_failed: bool) -> None:
        """Note that it is not any more."""
        self.under_way[webhook_id] -= 1
        self.under_way += Counter()  # without those that have none
        (self.failing.add if has_failed else self.failing.discard)(webhook_id)
