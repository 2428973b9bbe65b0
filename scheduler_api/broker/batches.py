"""A batch of runs on its way to a broker, and what a link to one must be able to do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from scheduler_api.broker.outgoing import BatchResult, Outgoing, PublishFailure


class BrokerConnectionLost(Exception):
    """The broker cannot be reached, or no longer; says why."""


@dataclass(kw_only=True, slots=True, eq=False)
class Batch:
    """Runs that were handed over together, and what became of them.

    `touched_at` is the last time that one was written or answered, by the monotonic clock.
    """

    id: int
    runs: Sequence[Outgoing]
    published: int = 0  # how many of them were given to the link
    confirmed: list[str] = field(default_factory=list)
    failed: dict[str, tuple[PublishFailure, str]] = field(default_factory=dict)
    answered: int = 0
    last_activity_at: float = 0.0

    @property
    def is_done(self) -> bool:
        return self.answered >= len(self.runs)

    def confirm(self, run_id: str) -> None:
        self.confirmed.append(run_id)
        self.answered += 1

    def fail(self, run_id: str, failure: PublishFailure, reason: str) -> None:
        self.failed[run_id] = failure, reason
        self.answered += 1

    def give_up(self, reason: str) -> None:
        """Call unanswered what has no answer; later ones are not heard."""
        known = {*self.confirmed, *self.failed}
        for run in self.runs:
            if run.id not in known:
                self.failed[run.id] = PublishFailure.UNANSWERED, reason
        self.answered = len(self.runs)

    def result(self) -> BatchResult:
        """Return what is known now: copies, for an answer may still come to what was given up."""
        return BatchResult(batch_id=self.id, confirmed=[*self.confirmed], failed={**self.failed})


class Transport(Protocol):
    """A connection to a broker, for one thread. Each method may raise BrokerConnectionLost."""

    broker: str  # what people call it
    blocked: str  # why the broker takes no messages at the moment; "" when it does

    def connect(self) -> None: ...

    def capacity(self) -> int:
        """Return how many runs it takes now."""

    def publish(self, batch: Batch, runs: Sequence[Outgoing]) -> None: ...

    def poll(self, wake: int, *, timeout_seconds: float) -> None:
        """Write and read what there is; wait for it, or for the file descriptor `wake`."""

    def close(self, *, timeout_seconds: float) -> None:
        """Leave, in the order of the protocol where that is soon; raises nothing."""
