"""The thread that owns the connection to the broker and publishes submitted batches."""

import select
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from celery import Celery

from scheduler_api.backoff import backoff
from scheduler_api.broker.batches import Batch, BrokerConnectionLost, Transport
from scheduler_api.broker.kombu_transport import KombuTransport
from scheduler_api.broker.outgoing import BatchResult, Outgoing
from scheduler_api.broker.queue_mismatches import QueueMismatch
from scheduler_api.broker.rabbitmq_transport import RabbitMQTransport
from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.self_pipe import SelfPipe

MIN_RECONNECT_DELAY, MAX_RECONNECT_DELAY = timedelta(seconds=1), timedelta(seconds=10)
POLL_SECONDS = 1.0
CLOSE_TIMEOUT_SECONDS = 1.0
JOIN_TIMEOUT_SECONDS = 5.0

# Written at once: runs, and characters of their arguments.
MAX_CHUNK_RUNS = 500
MAX_CHUNK_CHARACTERS = 4 * 1024 * 1024
STOPPED = "Beat has stopped."

logger = EventLogger(__name__)


class Publisher(threading.Thread):
    """Publishes batches of runs and reports the result of each run.

    Any thread may call its methods; none but `close` waits. The publisher calls `wake`, from any
    thread, when a result is ready and when `is_ready` changes.
    """

    def __init__(self, app: Celery, *, wake: Callable[[], None]) -> None:
        super().__init__(name="publisher", daemon=True)
        self._app = app
        self._wake = wake
        self._lock = threading.Lock()
        self._submitted: list[Batch] = []
        self._results: list[BatchResult] = []
        self._in_flight = 0
        self._deadline: float | None = None  # set by close()
        self._pipe = SelfPipe()  # closed when the thread accepts no more batches
        # Used by the thread alone.
        self._batches: list[Batch] = []
        self._connected = False
        self._losses = 0  # consecutive losses of the connection
        self._state = "new"
        self._queue_mismatches: Sequence[QueueMismatch] = ()
        self._publish_error = "Beat has not connected to the broker yet."

    # --- From any thread ----------------------------------------------------------------------

    def submit(self, batch_id: int, runs: Sequence[Outgoing]) -> None:
        """Submit a batch; its result will contain each of the runs."""
        batch = Batch(id=batch_id, runs=runs)
        with self._lock:
            if self._pipe.is_closed:
                batch.give_up(STOPPED)
                self._results.append(batch.result())
            else:
                self._submitted.append(batch)
                self._in_flight += len(runs)
        self._pipe.wake()

    def take_results(self) -> list[BatchResult]:
        """Return the results that no earlier call has returned."""
        with self._lock:
            taken, self._results = self._results, []
        return taken

    @property
    def is_ready(self) -> bool:
        """Whether the broker accepts messages, as far as is known."""
        return not self._publish_error

    @property
    def publish_error(self) -> str:
        """Why the publisher is not ready, as a sentence; "" when it is."""
        return self._publish_error

    @property
    def queue_mismatches(self) -> Sequence[QueueMismatch]:
        """The queues that exist with other arguments than ours, as far as is known."""
        return self._queue_mismatches

    @property
    def in_flight(self) -> int:
        """The number of submitted runs without a result."""
        return self._in_flight

    def close(self, timeout_seconds: float) -> None:
        """Publish what was submitted, give up the rest after the timeout, and end the thread."""
        self._deadline = time.monotonic() + timeout_seconds
        self._pipe.wake()
        if self.is_alive():
            self.join(timeout_seconds + JOIN_TIMEOUT_SECONDS)

    # --- The thread ---------------------------------------------------------------------------

    def run(self) -> None:
        transport = transport_for(self._app)
        while not self._is_over():
            try:
                if not self._connected:
                    self._connect(transport)
                has_more = self._feed(transport)
                self._collect_results()
                transport.poll(
                    self._pipe.fileno(), timeout_seconds=0 if has_more else self._poll_timeout()
                )
                self._pipe.drain()
                self._queue_mismatches = transport.queue_mismatches
                self._set_status(
                    transport.broker,
                    f"{transport.broker} accepts no messages: {transport.blocked}"
                    if transport.blocked
                    else "",
                    state="blocked" if transport.blocked else "ready",
                )
            except BrokerConnectionLost as error:
                self._disconnect(
                    transport, f"{transport.broker} does not answer: {error}", state="away"
                )
            except Exception as error:
                if self._state != "broken":
                    logger.exception(
                        LogEvent.PUBLISHER_FAILED, "The publisher failed and connects again"
                    )
                self._disconnect(
                    transport, f"The publisher failed: {type(error).__name__}", state="broken"
                )
            self._collect_results()
        self._give_up(STOPPED)
        self._collect_results()
        transport.close(timeout_seconds=CLOSE_TIMEOUT_SECONDS)
        with self._lock:
            self._pipe.close()

    def _is_over(self) -> bool:
        if self._deadline is None:
            return False
        return not self._in_flight or time.monotonic() >= self._deadline

    def _poll_timeout(self) -> float:
        left = POLL_SECONDS if self._deadline is None else self._deadline - time.monotonic()
        return min(POLL_SECONDS, max(left, 0.0))

    def _connect(self, transport: Transport) -> None:
        transport.connect()
        self._connected = True
        self._losses = 0
        self._set_status(transport.broker, "", state="ready")

    def _feed(self, transport: Transport) -> bool:
        """Publish as many runs as the transport accepts now; return whether it accepts more."""
        self._accept_submitted()
        for batch in self._batches:
            left = len(batch.runs) - batch.published
            if not left:
                continue
            size = min(left, MAX_CHUNK_RUNS, transport.capacity())
            if size <= 0:
                return False
            start = batch.published
            runs = up_to(MAX_CHUNK_CHARACTERS, batch.runs[start : start + size])
            batch.published += len(runs)
            transport.publish(batch, runs)
            return True
        return False

    def _accept_submitted(self) -> None:
        with self._lock:
            self._batches.extend(self._submitted)
            self._submitted.clear()

    def _disconnect(self, transport: Transport, reason: str, *, state: str) -> None:
        """Close the connection, give up its batches, and pause."""
        transport.close(timeout_seconds=0)
        self._connected = False
        self._give_up(reason)
        self._collect_results()
        self._set_status(transport.broker, reason, state=state)
        self._losses += 1
        pause = backoff(self._losses, first=MIN_RECONNECT_DELAY, longest=MAX_RECONNECT_DELAY)
        end = time.monotonic() + pause.total_seconds()
        while (left := end - time.monotonic()) > 0 and not self._is_over():
            self._sleep(min(left, self._poll_timeout()))
            self._give_up(reason)
            self._collect_results()

    def _sleep(self, seconds: float) -> None:
        select.select([self._pipe], [], [], seconds)
        self._pipe.drain()

    def _give_up(self, reason: str) -> None:
        self._accept_submitted()
        for batch in self._batches:
            batch.give_up(reason)

    def _collect_results(self) -> None:
        """Make the results of finished batches available to take_results()."""
        done = [batch for batch in self._batches if batch.is_done]
        if not done:
            return
        self._batches = [batch for batch in self._batches if not batch.is_done]
        with self._lock:
            self._results.extend(batch.result() for batch in done)
            self._in_flight -= sum(len(batch.runs) for batch in done)
        self._wake()

    def _set_status(self, broker: str, reason: str, *, state: str) -> None:
        """Store the publish error, and log it if the state has changed."""
        self._publish_error = reason
        if state == self._state:
            return
        self._state = state
        if reason:
            logger.warning(LogEvent.BROKER_UNAVAILABLE, "%(reason)s", broker=broker, reason=reason)
        else:
            logger.info(LogEvent.BROKER_READY, "%(broker)s accepts messages", broker=broker)
        self._wake()


def up_to(characters: int, runs: Sequence[Outgoing]) -> Sequence[Outgoing]:
    """Return the first runs, at least one, with at most this many characters of arguments."""
    for count, run in enumerate(runs):
        characters -= len(run.args) + len(run.kwargs)
        if characters < 0:
            return runs[: max(count, 1)]
    return runs


def transport_for(app: Celery) -> Transport:
    """Return the transport for the broker of the settings."""
    is_amqp = app.connection_for_write().transport.driver_name == "py-amqp"
    return RabbitMQTransport(app) if is_amqp else KombuTransport(app)
