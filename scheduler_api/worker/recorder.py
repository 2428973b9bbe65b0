"""The thread that writes into the ledger for a process that runs tasks.

It has a connection of its own: Celery closes that of the task's thread before and after each task.
What every run needs, the task's thread sends by it itself; the recorder does all else.
It says that the runs of the process live, ends the process when one of them was cancelled, and
keeps what the database does not take until it does.
"""

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

from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.runs import transitions
from scheduler_api.worker.prepared_statements import BoundStatement
from scheduler_api.worker.recorder_connection import Job, RecorderConnection

LEASE_RENEWAL_SECONDS = transitions.LEASE.total_seconds() / 3
CANCELLATION_CHECK_SECONDS = 3  # from one look for what was cancelled to the next
RETRY_INTERVAL_SECONDS = 1
EXECUTE_TIMEOUT_SECONDS = 5  # of a task, with the database
SEND_TIMEOUT_SECONDS = 1  # of a task that has ended, with the recorder
STOP_TIMEOUT_SECONDS = 10
MAX_BACKLOG = 10_000

logger = EventLogger(__name__)

Result = TypeVar("Result")


class Recorder(threading.Thread):
    """Writes what it is asked to, in that order."""

    def __init__(self, ongoing: Collection[str]) -> None:
        """`ongoing` has the ids of the runs of this process, now and later."""
        super().__init__(name="recorder", daemon=True)
        self._ongoing = ongoing
        self._jobs: queue.SimpleQueue[tuple[Job, Future[Any] | None] | None]
        self._jobs = queue.SimpleQueue()
        self._is_stopping = False
        self._backlog: deque[Job] = deque(maxlen=MAX_BACKLOG)
        self._connection = RecorderConnection(self._on_failure)
        self._tried_at = 0.0
        self._renewed_at = self._cancellation_checked_at = monotonic()

    def execute(self, job: Callable[[], Result]) -> Result:
        """Have something written, and return what it returns.

        Raises:
            OperationalError, InterfaceError: the database does not answer.
            TimeoutError: it does not answer in time; it is asked all the same.

        """
        future: Future[Result] = Future()
        self._jobs.put((job, future))
        return future.result(EXECUTE_TIMEOUT_SECONDS)

    def execute_directly(self, statement: BoundStatement) -> bool | None:
        """Send a statement from this thread, where that is possible, and return what it returns.

        None where it is not, or finds no row.

        Raises:
            TimeoutError: the database does not answer in time; it is asked all the same.

        """
        try:
            return self._connection.execute(statement, seconds=EXECUTE_TIMEOUT_SECONDS)
        except TimeoutError:
            self._jobs.put((statement, Future()))  # should the connection not survive that
            raise

    def enqueue(self, job: Job) -> None:
        """Have something written that nobody waits for; twice does no harm."""
        if not (
            isinstance(job, BoundStatement)
            and self._connection.send(job, seconds=SEND_TIMEOUT_SECONDS)
        ):
            self._jobs.put((job, None))

    def retry_later(self, job: Job) -> None:
        """Have something written, when the database answers again."""
        self._backlog.append(job)
        self._jobs.put(None)  # it may be in a longer pause

    def stop(self) -> None:
        """End it when it has done what it was asked to, as far as the database answers."""
        self._is_stopping = True
        self._jobs.put(None)
        self.join(STOP_TIMEOUT_SECONDS)

    def run(self) -> None:
        # Signals are for the main thread. It holds back SIGTERM while it has a lock of the pool;
        # one that came to this thread would end the process all the same, and nobody got the lock.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while not (self._is_stopping and self._jobs.empty()):
            try:
                self._do_next()
            except Exception:
                logger.exception(LogEvent.RECORDER_FAILED, "The recorder failed and goes on")
        with self._connection.exclusive():
            self._connection.give_up()

    def _do_next(self) -> None:
        asked = None
        with suppress(queue.Empty):
            asked = self._jobs.get(timeout=self._seconds_until_due())
        with self._connection.exclusive():
            if asked:
                self._do_job(*asked)
            if not self._seconds_until_due():
                self._catch_up()

    def _seconds_until_due(self) -> float:
        """Return how long there is nothing to catch up with."""
        at = min(
            self._renewed_at + LEASE_RENEWAL_SECONDS,
            self._cancellation_checked_at + CANCELLATION_CHECK_SECONDS,
        )
        if self._backlog:
            at = 0.0
        return max(0.0, max(at, self._tried_at + RETRY_INTERVAL_SECONDS) - monotonic())

    def _do_job(self, job: Job, future: Future[Any] | None) -> None:
        """Do a job, on a new connection where the old one turns out to be gone."""
        try:
            try:
                result = job()
            except (OperationalError, InterfaceError):
                self._drop_connection()
                result = job()
        except Exception as error:  # noqa: BLE001 - who has asked is told of it, or the log
            self._drop_connection()
            if future:
                future.set_exception(error)
            else:
                self._on_failure(job, error)
        else:
            if future:
                future.set_result(result)
            else:
                self._connection.add_unflushed(job)

    def _on_failure(self, job: Job, error: Exception) -> None:
        """Keep what nobody waits for until the database takes it, if that may ever be."""
        if isinstance(error, OperationalError | InterfaceError):
            logger.warning(
                LogEvent.RUN_END_DEFERRED,
                "The end of a run is written later: %(error)s",
                error=in_one_line(error),
            )
            self._backlog.append(job)
        else:
            logger.error(
                LogEvent.LEDGER_WRITE_ABANDONED,
                "A write to the ledger failed and is not repeated",
                exc_info=error,
            )

    def _drop_connection(self) -> None:
        """Give the connection up: what PostgreSQL may have lost with it is written again."""
        self._backlog.extend(self._connection.give_up())

    def _catch_up(self) -> None:
        """Write what was kept, say which runs live, and look for what was cancelled."""
        self._tried_at = monotonic()
        try:
            while self._backlog:
                self._write_from_backlog(self._backlog[0])
                self._backlog.popleft()
            if self._tried_at - self._renewed_at >= LEASE_RENEWAL_SECONDS:
                if run_ids := list(self._ongoing):
                    transitions.renew(run_ids)
                self._renewed_at = self._tried_at
            if self._tried_at - self._cancellation_checked_at >= CANCELLATION_CHECK_SECONDS:
                self._connection.check_flushed()
                self._stop_if_cancelled()
                self._cancellation_checked_at = self._tried_at
        except (OperationalError, InterfaceError) as error:
            self._drop_connection()
            logger.warning(
                LogEvent.LEDGER_WRITES_DEFERRED,
                "Writes to the ledger are repeated later: %(error)s",
                error=in_one_line(error),
            )

    def _stop_if_cancelled(self) -> None:
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
            logger.warning(
                LogEvent.RUN_PROCESS_KILLED,
                "Killing this process: its run %(run_id)s was cancelled",
                run_id=run_ids[0],
            )
            os.kill(os.getpid(), signal.SIGKILL)

    def _write_from_backlog(self, job: Job) -> None:
        try:
            job()
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception(
                LogEvent.LEDGER_WRITE_ABANDONED, "A write to the ledger failed and is not repeated"
            )
