"""The thread that writes into the ledger for a process that runs tasks.

It has a connection of its own: Celery closes that of the task's thread before and after each task.
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
from django.db import InterfaceError, OperationalError, connection

from scheduler_api.runs import ledger

RENEW_SECONDS = ledger.LEASE.total_seconds() / 3
LOOK_SECONDS = 3  # from one look for what was cancelled to the next
RETRY_SECONDS = 1
PATIENCE_SECONDS = 5  # of a task, with the database
STOP_SECONDS = 10
MAX_KEPT = 10_000
# PostgreSQL has on its disk what it was told so long ago, also where nobody waits for that.
SETTLED_SECONDS = 5

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Job = Callable[[], Any]


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
        # What was written without waiting for the disk, and when.
        self._unsettled: deque[tuple[float, Job]] = deque()
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

    def tell(self, job: Job) -> None:
        """Have something written that nobody waits for, in its turn; twice does no harm."""
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
        connection.close()

    def _turn(self) -> None:
        with suppress(queue.Empty):
            if asked := self._asked.get(timeout=self._pause()):
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
        except Exception as error:
            self._do_without()
            if future:
                future.set_exception(error)
            elif isinstance(error, OperationalError | InterfaceError):
                logger.warning("An end is written later: %s", " ".join(str(error).split()))
                self._kept.append(job)
            else:
                logger.exception("What could not be written is left out")
        else:
            if future:
                future.set_result(result)
            else:
                self._unsettled.append((monotonic(), job))
                while self._unsettled[0][0] < monotonic() - SETTLED_SECONDS:
                    self._unsettled.popleft()

    def _do_without(self) -> None:
        """Give the connection up: what PostgreSQL may have lost with it is written again."""
        connection.close()
        since = monotonic() - SETTLED_SECONDS
        self._kept.extend(job for at, job in self._unsettled if at >= since)
        self._unsettled.clear()

    def _catch_up(self) -> None:
        """Write what was kept, say which runs live, and look for what was cancelled."""
        self._tried_at = monotonic()
        try:
            while self._kept:
                self._write_kept(self._kept[0])
                self._kept.popleft()
            if self._tried_at - self._renewed_at >= RENEW_SECONDS:
                if run_ids := list(self._ongoing):
                    ledger.renew(run_ids)
                self._renewed_at = self._tried_at
            if self._tried_at - self._looked_at >= LOOK_SECONDS:
                self._look()
                self._looked_at = self._tried_at
        except (OperationalError, InterfaceError) as error:
            self._do_without()
            logger.warning("The ledger is written later: %s", " ".join(str(error).split()))

    def _look(self) -> None:
        """End this process, where it is a child of a worker, when its run was cancelled.

        The worker makes another. Where several runs share a process, none is ended. It ends where
        it stands: the run has not ended without asking this thread, so it holds none of the locks
        of the pool, as it would while it ends in order.
        """
        run_ids = list(self._ongoing)
        is_child = bool(current_process().daemon)
        if run_ids and is_child and ledger.end_asked_for(run_ids, at=datetime.now(UTC)):
            logger.warning("Ending this process: its run %s was cancelled", *run_ids)
            os.kill(os.getpid(), signal.SIGKILL)

    def _write_kept(self, job: Job) -> None:
        try:
            job()
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("What could not be written is left out")
