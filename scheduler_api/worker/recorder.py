"""The thread that writes to the ledger for a process that runs tasks.

It has a connection of its own, because Celery closes the connection of the task's thread before
and after each task. The task's thread sends the statements that every run needs by that connection
itself; the recorder does everything else. It renews the leases of the process's runs, kills the
process when its run is cancelled, and repeats failed writes until the database answers.
"""

import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any, TypeVar

from billiard.process import current_process
from django.db import InterfaceError, OperationalError

from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.runs import transitions
from scheduler_api.runs.models import LEASE
from scheduler_api.worker.prepared_statements import BoundStatement
from scheduler_api.worker.recorder_connection import Job, RecorderConnection

LEASE_RENEWAL_SECONDS = LEASE.total_seconds() / 3
CANCELLATION_CHECK_SECONDS = 3
RETRY_INTERVAL_SECONDS = 1
# How long a task waits for the database, and at its end for the recorder's connection.
EXECUTE_TIMEOUT_SECONDS = 5
SEND_TIMEOUT_SECONDS = 1
STOP_TIMEOUT_SECONDS = 10
MAX_BACKLOG = 10_000  # jobs

logger = EventLogger(__name__)

Result = TypeVar("Result")


class Recorder(threading.Thread):
    """Executes jobs, each a write to the ledger, in the order of the calls."""

    def __init__(self, ongoing: Callable[[], list[str]]) -> None:
        """`ongoing` returns the ids of the runs that this process has now."""
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
        """Execute a job in the recorder's thread, and return its result.

        Raises:
            OperationalError, InterfaceError: the database does not answer.
            TimeoutError: the database does not answer in time; the job is executed all the same.

        """
        future: Future[Result] = Future()
        self._jobs.put((job, future))
        return future.result(EXECUTE_TIMEOUT_SECONDS)

    def execute_directly(self, statement: BoundStatement) -> bool | None:
        """Send a statement from the caller's thread, and return its value.

        Returns None if the connection cannot be used now, or if the statement finds no row.

        Raises:
            TimeoutError: the database does not answer in time; the statement is executed all the
                same.

        """
        try:
            return self._connection.execute(statement, seconds=EXECUTE_TIMEOUT_SECONDS)
        except TimeoutError:
            self._jobs.put((statement, Future()))  # again, in case the connection is lost
            raise

    def enqueue(self, job: Job) -> None:
        """Execute a job without waiting for it; it may be executed twice, and must allow that."""
        if not (
            isinstance(job, BoundStatement)
            and self._connection.send(job, seconds=SEND_TIMEOUT_SECONDS)
        ):
            self._jobs.put((job, None))

    def retry_later(self, job: Job) -> None:
        """Execute a job when the database answers again."""
        self._backlog.append(job)
        self._jobs.put(None)  # ends the current wait

    def stop(self) -> None:
        """Execute the remaining jobs, if the database answers in time, and end the thread."""
        self._is_stopping = True
        self._jobs.put(None)
        self.join(STOP_TIMEOUT_SECONDS)

    def run(self) -> None:
        # The main thread handles signals: it defers SIGTERM while it has a lock of the pool. A
        # SIGTERM in this thread would end the process at once, and the lock would stay locked.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while not (self._is_stopping and self._jobs.empty()):
            try:
                self._do_next()
            except Exception:
                logger.exception(LogEvent.RECORDER_FAILED, "The recorder failed and goes on")
        with self._connection.exclusive():
            self._connection.give_up()

    def _do_next(self) -> None:
        queued = None
        with suppress(queue.Empty):
            queued = self._jobs.get(timeout=self._seconds_until_due())
        with self._connection.exclusive():
            if queued:
                self._do_job(*queued)
            if not self._seconds_until_due():
                self._catch_up()

    def _seconds_until_due(self) -> float:
        """Return the seconds until the next periodic work is due."""
        at = min(
            self._renewed_at + LEASE_RENEWAL_SECONDS,
            self._cancellation_checked_at + CANCELLATION_CHECK_SECONDS,
        )
        if self._backlog:
            at = 0.0
        return max(0.0, max(at, self._tried_at + RETRY_INTERVAL_SECONDS) - monotonic())

    def _do_job(self, job: Job, future: Future[Any] | None) -> None:
        """Execute a job; on a lost connection, once more on a new one."""
        try:
            try:
                result = job()
            except (OperationalError, InterfaceError):
                self._drop_connection()
                result = job()
        except Exception as error:  # noqa: BLE001 - it goes to the caller or the log
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
        """Retry a job later, unless the database will always refuse it."""
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
        """Close the connection; jobs that PostgreSQL may have lost with it are executed again."""
        self._backlog.extend(self._connection.give_up())

    def _catch_up(self) -> None:
        """Execute the backlog, renew leases, and check for a cancelled run."""
        self._tried_at = monotonic()
        try:
            while self._backlog:
                self._write_from_backlog(self._backlog[0])
                self._backlog.popleft()
            if self._tried_at - self._renewed_at >= LEASE_RENEWAL_SECONDS:
                if run_ids := self._ongoing():
                    transitions.renew_leases(run_ids)
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
        """Kill this process if it is a child of a worker and its run was cancelled.

        The worker starts another. A process that several runs share is never killed. The kill is
        immediate: a run cannot end without the connection that this thread holds, so the process
        has none of the pool's locks, which it would have during an orderly exit.
        """
        run_ids = self._ongoing()
        if not run_ids or not current_process().daemon:
            return
        is_cancelled = transitions.terminate_requested(run_ids, at=datetime.now(UTC))
        # Not if the run has ended meanwhile: a task does not wait for a slow database.
        if is_cancelled and run_ids == self._ongoing():
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
