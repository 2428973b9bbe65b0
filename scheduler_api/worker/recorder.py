"""The thread that writes into the ledger for a process that runs tasks.

It has a connection of its own: Celery closes that of the task's thread before and after each task.
What every run needs, the task's thread sends by it itself; the recorder does all else.
It says that the runs of the process live, ends the process when one of them was cancelled, and
keeps what the database does not take until it does.
"""

import logging
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any, TypeVar

from billiard.process import current_process
from django.db import InterfaceError, OperationalError

from scheduler_api.runs import transitions
from scheduler_api.worker.prepared_statements import Call
from scheduler_api.worker.recorder_connection import Job, Line

RENEW_SECONDS = transitions.LEASE.total_seconds() / 3
LOOK_SECONDS = 3  # from one look for what was cancelled to the next
RETRY_SECONDS = 1
PATIENCE_SECONDS = 5  # of a task, with the database
TELL_SECONDS = 1  # of a task that has ended, with the recorder
STOP_SECONDS = 10
MAX_KEPT = 10_000

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class Recorder(threading.Thread):
    """Writes what it is asked to, in that order."""

    def __init__(self, ongoing: Collection[str]) -> None:
        """`ongoing` has the ids of the runs of this process, now and later."""
        super().__init__(name="recorder", daemon=True)
        self._ongoing = ongoing
        self._asked: queue.SimpleQueue[tuple[Job, Future[Any] | None] | None]
        self._asked = queue.SimpleQueue()
        self._is_over = False
        self._kept: deque[Job] = deque(maxlen=MAX_KEPT)
        self._line = Line(self._on_refusal)
        self._tried_at = 0.0
        self._renewed_at = self._looked_at = monotonic()

    def ask(self, job: Callable[[], Result]) -> Result:
        """Have something written, and return what it returns.

        Raises:
            OperationalError, InterfaceError: the database does not answer.
            TimeoutError: it does not answer in time; it is asked all the same.

        """
        future: Future[Result] = Future()
        self._asked.put((job, future))
        return future.result(PATIENCE_SECONDS)

    def ask_directly(self, call: Call) -> bool | None:
        """Send a statement from this thread, where that is possible, and return what it returns.

        None where it is not, or finds no row.

        Raises:
            TimeoutError: the database does not answer in time; it is asked all the same.

        """
        try:
            return self._line.ask(call, seconds=PATIENCE_SECONDS)
        except TimeoutError:
            self._asked.put((call, Future()))  # should the connection not survive that
            raise

    def tell(self, job: Job) -> None:
        """Have something written that nobody waits for; twice does no harm."""
        if not (isinstance(job, Call) and self._line.send(job, seconds=TELL_SECONDS)):
            self._asked.put((job, None))

    def keep(self, job: Job) -> None:
        """Have something written, when the database answers again."""
        self._kept.append(job)
        self._asked.put(None)  # it may be in a longer pause

    def stop(self) -> None:
        """End it when it has done what it was asked to, as far as the database answers."""
        self._is_over = True
        self._asked.put(None)
        self.join(STOP_SECONDS)

    def run(self) -> None:
        # Signals are for the main thread. It holds back SIGTERM while it has a lock of the pool;
        # one that came to this thread would end the process all the same, and nobody got the lock.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while not (self._is_over and self._asked.empty()):
            try:
                self._turn()
            except Exception:
                logger.exception("The recorder goes on")
        with self._line.held():
            self._line.give_up()

    def _turn(self) -> None:
        asked = None
        with suppress(queue.Empty):
            asked = self._asked.get(timeout=self._pause())
        with self._line.held():
            if asked:
                self._answer(*asked)
            if not self._pause():
                self._catch_up()

    def _pause(self) -> float:
        """Return how long there is nothing to catch up with."""
        at = min(self._renewed_at + RENEW_SECONDS, self._looked_at + LOOK_SECONDS)
        if self._kept:
            at = 0.0
        return max(0.0, max(at, self._tried_at + RETRY_SECONDS) - monotonic())

    def _answer(self, job: Job, future: Future[Any] | None) -> None:
        """Do a job, on a new connection where the old one turns out to be gone."""
        try:
            try:
                result = job()
            except (OperationalError, InterfaceError):
                self._do_without()
                result = job()
        except Exception as error:  # noqa: BLE001 - who has asked is told of it, or the log
            self._do_without()
            if future:
                future.set_exception(error)
            else:
                self._on_refusal(job, error)
        else:
            if future:
                future.set_result(result)
            else:
                self._line.remember(job)

    def _on_refusal(self, job: Job, error: Exception) -> None:
        """Keep what nobody waits for until the database takes it, if that may ever be."""
        if isinstance(error, OperationalError | InterfaceError):
            logger.warning("An end is written later: %s", " ".join(str(error).split()))
            self._kept.append(job)
        else:
            logger.error("What could not be written is left out", exc_info=error)

    def _do_without(self) -> None:
        """Give the connection up: what PostgreSQL may have lost with it is written again."""
        self._kept.extend(self._line.give_up())

    def _catch_up(self) -> None:
        """Write what was kept, say which runs live, and look for what was cancelled."""
        self._tried_at = monotonic()
        try:
            while self._kept:
                self._write_kept(self._kept[0])
                self._kept.popleft()
            if self._tried_at - self._renewed_at >= RENEW_SECONDS:
                if run_ids := list(self._ongoing):
                    transitions.renew(run_ids)
                self._renewed_at = self._tried_at
            if self._tried_at - self._looked_at >= LOOK_SECONDS:
                self._line.settle()
                self._look()
                self._looked_at = self._tried_at
        except (OperationalError, InterfaceError) as error:
            self._do_without()
            logger.warning("The ledger is written later: %s", " ".join(str(error).split()))

    def _look(self) -> None:
        """End this process, where it is a child of a worker, when its run was cancelled.

        The worker makes another. Where several runs share a process, none is ended. It ends where
        it stands: the run has not ended without the line that this thread holds, so it has none of
        the locks of the pool, as it would while it ends in order.
        """
        run_ids = list(self._ongoing)
        if not run_ids or not current_process().daemon:
            return
        is_asked_for = transitions.end_asked_for(run_ids, at=datetime.now(UTC))
        # It has ended where the database took its time, and the task has not waited for it.
        if is_asked_for and run_ids == list(self._ongoing):
            logger.warning("Ending this process: its run %s was cancelled", *run_ids)
            os.kill(os.getpid(), signal.SIGKILL)

    def _write_kept(self, job: Job) -> None:
        try:
            job()
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("What could not be written is left out")
