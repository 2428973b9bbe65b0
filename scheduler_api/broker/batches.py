"""A batch of runs in flight to the broker, and the interface of a transport that publishes it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from scheduler_api.broker.outgoing import BatchResult, Outgoing, PublishFailure
from scheduler_api.broker.queue_mismatches import QueueMismatch


class BrokerConnectionLost(Exception):
    """The connection cannot be opened, or is lost; the message is the reason."""


@dataclass(kw_only=True, slots=True, eq=False)
class Batch:
    """Runs that were submitted together, and the result of each so far.

    `last_activity_at` is when a message of the batch was last written or answered, by the
    monotonic clock.
    """

    id: int
    runs: Sequence[Outgoing]
    published: int = 0  # runs that were passed to the transport
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
        """Mark every run without an answer as unanswered; later answers do not count."""
        known = {*self.confirmed, *self.failed}
        for run in self.runs:
            if run.id not in known:
                self.failed[run.id] = PublishFailure.UNANSWERED, reason
        self.answered = len(self.runs)

    def result(self) -> BatchResult:
        """Return the result so far, as copies: the broker may still answer an abandoned run."""
        return BatchResult(batch_id=self.id, confirmed=[*self.confirmed], failed={**self.failed})


class Transport(Protocol):
    """A connection to a broker, used by one thread. Each method may raise BrokerConnectionLost."""

    broker: str  # name for log messages
    blocked: str  # why the broker accepts no messages at the moment; "" when it does

    @property
    def queue_mismatches(self) -> Sequence[QueueMismatch]:
        """The queues that exist with other arguments than ours."""

    def connect(self) -> None: ...

    def capacity(self) -> int:
        """Return how many more runs the transport accepts now."""

    def publish(self, batch: Batch, runs: Sequence[Outgoing]) -> None: ...

    def poll(self, wake_fd: int, *, timeout_seconds: float) -> None:
        """Write and read without blocking; before it reads, wait for data or for `wake_fd`."""

    def close(self, *, timeout_seconds: float) -> None:
        """Close the connection, by the protocol if that takes no longer; raises nothing."""
