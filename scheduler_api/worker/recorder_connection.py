"""The connection of a recorder, on which threads of tasks send some statements themselves."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import ConnStatus

from scheduler_api.worker.prepared_statements import BoundStatement, receive

# After this time, PostgreSQL has written a commit to disk even with synchronous_commit off.
FLUSH_SECONDS = 5

Job = Callable[[], Any]


class RecorderConnection:
    """A connection that one thread uses at a time, with at most one unread reply.

    To pass a statement to the recorder's thread costs two thread switches, which take longer than
    PostgreSQL does. Another thread can use the connection only if it is an open connection to
    PostgreSQL that has prepared the statement. Otherwise `execute` and `send` do nothing and
    return None and False, and so they do with FAST_PATHS off.
    """

    def __init__(self, on_error: Callable[[BoundStatement, Exception], None]) -> None:
        """`on_error` is called with a statement that `send` has sent and PostgreSQL has refused.

        It is not called when the connection is lost: `give_up` returns those statements.
        """
        self._on_error = on_error
        self._lock = threading.Lock()
        self._database: BaseDatabaseWrapper | None = None
        # The connection of the unread reply, and its statement if `on_error` needs it.
        self._unread: tuple[psycopg.Connection[Any], BoundStatement | None] | None = None
        # Jobs that PostgreSQL may not have written to disk yet, and when they were done.
        self._unflushed: deque[tuple[float, Job]] = deque()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Wait until no other thread uses the connection, and keep them away in the block."""
        with self._lock:
            self._database = connections[DEFAULT_DB_ALIAS]
            self._read_reply()
            yield

    # Inside `exclusive`:

    def add_unflushed(self, job: Job) -> None:
        """Record a job that is done but may not be on disk yet."""
        self._unflushed.append((monotonic(), job))

    def check_flushed(self) -> None:
        """Check that the connection is alive, and forget jobs that are on disk by now.

        A lost connection shows only when something is sent on it.
        """
        if not self._unflushed:
            return
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute("SELECT 1")
        while self._unflushed and self._unflushed[0][0] < monotonic() - FLUSH_SECONDS:
            self._unflushed.popleft()

    def give_up(self) -> list[Job]:
        """Close the connection; return the jobs that PostgreSQL may have lost with it."""
        connections[DEFAULT_DB_ALIAS].close()
        forgotten = [job for _, job in self._unflushed]
        self._unflushed.clear()
        return forgotten

    # From any other thread:

    def execute(self, statement: BoundStatement, *, seconds: float) -> bool | None:
        """Execute a statement and return its value; None if it finds no row or cannot be sent now.

        Raises:
            TimeoutError: no reply in time; the statement may still be executed.

        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if (driver := self._driver_for(statement)) is None:
                return None
            until = monotonic() + seconds
            self._read_reply(until)
            # Before it is sent: a soft time limit may interrupt this thread.
            self._unread = driver, None
            statement.send(driver, until=until)
            answer = receive(driver, until=until)
        except psycopg.Error:
            return None  # the caller's next attempt, by the recorder, raises the error
        else:
            self._unread = None
            return answer
        finally:
            self._lock.release()

    def send(self, statement: BoundStatement, *, seconds: float) -> bool:
        """Send a statement, and leave its reply to the next user; False if it cannot be sent.

        It waits at most this many seconds for other threads.
        """
        if not self._lock.acquire(timeout=seconds):
            return False
        try:
            if (driver := self._driver_for(statement)) is None:
                return False
            until = monotonic() + seconds
            self._read_reply(until)
            self._unread = driver, statement
            statement.send(driver, until=until)
            self.add_unflushed(statement)
        except (psycopg.Error, TimeoutError):
            return False
        else:
            return True
        finally:
            self._lock.release()

    def _driver_for(self, statement: BoundStatement) -> psycopg.Connection[Any] | None:
        if self._database is None or not settings.FAST_PATHS:
            return None
        driver: psycopg.Connection[Any] | None = self._database.connection
        if driver is None or not statement.prepared.is_prepared(driver) or not is_open(driver):
            return None
        return driver

    def _read_reply(self, until: float | None = None) -> None:
        """Read the unread reply, if any; raises TimeoutError if it does not come in time."""
        if self._unread is None or self._database is None:
            return
        driver, statement = self._unread
        try:
            with self._database.wrap_database_errors:
                receive(driver, until=until)
        except (DatabaseError, InterfaceError) as error:
            if statement and is_open(driver):
                self._on_error(statement, error)
        self._unread = None


def is_open(driver: psycopg.Connection[Any]) -> bool:
    return driver.pgconn.status == ConnStatus.OK
