"""An engine on the test's database with a fake publisher."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from scheduler_api.broker.outgoing import BatchResult, Outgoing, PublishFailure
from scheduler_api.broker.queue_mismatches import QueueMismatch
from scheduler_api.runs.models import Run
from scheduler_api.scheduler.engine import Engine
from scheduler_api.scheduler.postgres_store import store_of_database
from scheduler_api.scheduler.waker import Waker

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class FakePublisher:
    """Answers each batch as the test wants: by default, every run is confirmed."""

    def __init__(self) -> None:
        self.is_ready = True
        self.publish_error = ""
        self.queue_mismatches: list[QueueMismatch] = []
        self.sent: list[Outgoing] = []
        self.failures: dict[str, tuple[PublishFailure, str]] = {}
        self.is_silent = False
        self._results: list[BatchResult] = []

    @property
    def in_flight(self) -> int:
        return 0

    def submit(self, batch_id: int, runs: Sequence[Outgoing]) -> None:
        self.sent += runs
        if self.is_silent:
            return
        failed = {
            run.id: self.failures[run.periodic_task_name]
            for run in runs
            if run.periodic_task_name in self.failures
        }
        confirmed = [run.id for run in runs if run.id not in failed]
        self._results.append(BatchResult(batch_id=batch_id, confirmed=confirmed, failed=failed))

    def take_results(self) -> list[BatchResult]:
        results, self._results = self._results, []
        return results

    def close(self, *, timeout_seconds: float) -> None:
        pass


class TestedEngine:
    """An engine with a clock that the test sets."""

    __test__ = False

    def __init__(self) -> None:
        self.now = NOON
        self.publisher = FakePublisher()
        self.revoked: list[str] = []
        self.engine = Engine(
            store=store_of_database(clock=lambda: self.now),
            publisher=self.publisher,  # type: ignore[arg-type]
            waker=Waker(),
            revoke=self.revoked.extend,
            grace=10 * SECOND,
        )

    def run(self, *, at: datetime | None = None, steps: int = 1000) -> list[tuple[str, datetime]]:
        """Work until nothing is left to do; return the name and the slot of each sent run."""
        self.now = at or self.now
        before = len(self.publisher.sent)
        for _ in range(steps):
            if self.engine.work():
                break
        else:
            raise AssertionError("It does not come to rest.")
        self.engine.settle(self.now)
        sent = {run.id: run.periodic_task_name for run in self.publisher.sent[before:]}
        slots = Run.objects.filter(pk__in=sent).values_list("pk", "slot_at")
        return sorted(
            ((sent[str(pk)], slot_at) for pk, slot_at in slots), key=lambda each: each[::-1]
        )


def slots_sent(sent: Sequence[tuple[str, datetime]]) -> list[datetime]:
    return [slot_at for _, slot_at in sent]
