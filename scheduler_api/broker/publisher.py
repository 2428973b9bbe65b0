"""The thread that owns the connection to the broker, and publishes what it is handed."""

import logging
import select
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from celery import Celery

from scheduler_api.backoff import backoff
from scheduler_api.broker.batches import Batch, Link, LinkLost
from scheduler_api.broker.kombu_transport import KombuLink
from scheduler_api.broker.outgoing import Outcome, Outgoing
from scheduler_api.broker.rabbitmq_transport import AmqpLink
from scheduler_api.self_pipe import SelfPipe

# Between two tries to connect.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=10)
# Seconds.
TURN = 1.0
FAREWELL = 1.0
JOIN = 5.0

CHUNK = 500  # runs that are written at once
MAX_CHUNK = 4 * 1024 * 1024  # characters of their arguments
THE_END = "Beat has ended."

logger = logging.getLogger(__name__)


class Publisher(threading.Thread):
    """Publishes batches of runs, and tells what became of each run.

    Its methods may be called from any thread, and do not wait. `wake` is called, from any thread,
    when there are outcomes, and when `is_ready` has changed.
    """

    def __init__(self, app: Celery, *, wake: Callable[[], None]) -> None:
        super().__init__(name="publisher", daemon=True)
        self._app = app
        self._wake = wake
        self._lock = threading.Lock()
        self._handed: list[Batch] = []
        self._outcomes: list[Outcome] = []
        self._in_flight = 0
        self._deadline: float | None = None  # set when it is to end
        self._pipe = SelfPipe()  # closed when the thread takes no more batches
        # Of the thread alone.
        self._batches: list[Batch] = []
        self._connected = False
        self._losses = 0  # of the connection, in a row
        self._state = "new"
        self._trouble = "The broker has not been asked yet."

    # --- From any thread ----------------------------------------------------------------------

    def submit(self, batch_id: int, runs: Sequence[Outgoing]) -> None:
        """Hand over runs; each will be in an outcome of that batch."""
        batch = Batch(id=batch_id, runs=runs)
        with self._lock:
            if self._pipe.is_closed:
                batch.give_up(THE_END)
                self._outcomes.append(batch.outcome())
            else:
                self._handed.append(batch)
                self._in_flight += len(runs)
        self._pipe.wake()

    def take_outcomes(self) -> list[Outcome]:
        """Return the batches that are done, and that no call has returned before."""
        with self._lock:
            taken, self._outcomes = self._outcomes, []
        return taken

    @property
    def is_ready(self) -> bool:
        """Tell whether the broker takes messages, as far as is known."""
        return not self._trouble

    @property
    def trouble(self) -> str:
        """Return why it is not ready, as a sentence."""
        return self._trouble

    @property
    def in_flight(self) -> int:
        """Return how many runs were handed over and have no outcome."""
        return self._in_flight

    def close(self, within: float) -> None:
        """Finish what is in flight, give up what is not done within so many seconds, and end."""
        self._deadline = time.monotonic() + within
        self._pipe.wake()
        if self.is_alive():
            self.join(within + JOIN)

    # --- The thread ---------------------------------------------------------------------------

    def run(self) -> None:
        link = make_link(self._app)
        while not self._is_over():
            try:
                if not self._connected:
                    self._connect(link)
                has_more = self._feed(link)
                self._settle()
                link.turn(self._pipe.fileno(), within=0 if has_more else self._patience())
                self._pipe.drain()
                self._tell(
                    link.broker,
                    f"{link.broker} takes no messages: {link.blocked}" if link.blocked else "",
                    state="blocked" if link.blocked else "ready",
                )
            except LinkLost as error:
                self._lose(link, f"{link.broker} does not answer: {error}", state="away")
            except Exception as error:
                if self._state != "broken":
                    logger.exception("The publisher starts anew")
                self._lose(link, f"The publisher failed: {type(error).__name__}", state="broken")
            self._settle()
        self._give_up(THE_END)
        self._settle()
        link.close(within=FAREWELL)
        with self._lock:
            self._pipe.close()

    def _is_over(self) -> bool:
        if self._deadline is None:
            return False
        return not self._in_flight or time.monotonic() >= self._deadline

    def _patience(self) -> float:
        left = TURN if self._deadline is None else self._deadline - time.monotonic()
        return min(TURN, max(left, 0.0))

    def _connect(self, link: Link) -> None:
        link.connect()
        self._connected = True
        self._losses = 0
        self._tell(link.broker, "", state="ready")

    def _feed(self, link: Link) -> bool:
        """Give the link as much as it takes now; tell whether there is more that it would take."""
        self._take_over()
        for batch in self._batches:
            left = len(batch.runs) - batch.published
            if not left:
                continue
            size = min(left, CHUNK, link.room())
            if size <= 0:
                return False
            start = batch.published
            runs = up_to(MAX_CHUNK, batch.runs[start : start + size])
            batch.published += len(runs)
            link.publish(batch, runs)
            return True
        return False

    def _take_over(self) -> None:
        with self._lock:
            self._batches.extend(self._handed)
            self._handed.clear()

    def _lose(self, link: Link, trouble: str, *, state: str) -> None:
        """Give up the connection and all that is on it, and pause."""
        link.close(within=0)
        self._connected = False
        self._give_up(trouble)
        self._settle()
        self._tell(link.broker, trouble, state=state)
        self._losses += 1
        pause = backoff(self._losses, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
        end = time.monotonic() + pause.total_seconds()
        while (left := end - time.monotonic()) > 0 and not self._is_over():
            self._rest(min(left, self._patience()))
            self._give_up(trouble)
            self._settle()

    def _rest(self, seconds: float) -> None:
        select.select([self._pipe], [], [], seconds)
        self._pipe.drain()

    def _give_up(self, reason: str) -> None:
        self._take_over()
        for batch in self._batches:
            batch.give_up(reason)

    def _settle(self) -> None:
        """Let others have the outcome of the batches that are done."""
        done = [batch for batch in self._batches if batch.is_done]
        if not done:
            return
        self._batches = [batch for batch in self._batches if not batch.is_done]
        with self._lock:
            self._outcomes.extend(batch.outcome() for batch in done)
            self._in_flight -= sum(len(batch.runs) for batch in done)
        self._wake()

    def _tell(self, broker: str, trouble: str, *, state: str) -> None:
        """Say how it is; in the log, when that is another state than before."""
        self._trouble = trouble
        if state == self._state:
            return
        self._state = state
        if trouble:
            logger.warning("%s", trouble)
        else:
            logger.info("%s takes messages", broker)
        self._wake()


def up_to(characters: int, runs: Sequence[Outgoing]) -> Sequence[Outgoing]:
    """Return the first of the runs, at least one, with so many characters of arguments."""
    for count, run in enumerate(runs):
        characters -= len(run.args) + len(run.kwargs)
        if characters < 0:
            return runs[: max(count, 1)]
    return runs


def make_link(app: Celery) -> Link:
    """Return the link for the broker of the settings."""
    is_amqp = app.connection_for_write().transport.driver_name == "py-amqp"
    return AmqpLink(app) if is_amqp else KombuLink(app)
