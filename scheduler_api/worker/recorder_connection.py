"""The connection of a recorder, by which the threads of tasks send some statements themselves."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import ConnStatus

from scheduler_api.worker.prepared_statements import BoundStatement, receive

# What PostgreSQL answers then, it has on its disk, also where it has not waited for that.
FLUSH_SECONDS = 5

Job = Callable[[], Any]


class RecorderConnection:
    """A connection that one thread uses at a time, and one statement whose answer is to be read.

    To have the recorder's thread send a statement costs two changes of threads, which take longer
    than PostgreSQL does. Another thread can use only a connection of PostgreSQL's that is open and
    has the statement prepared: of any other, `ask` and `send` say that they have done nothing.
    """

    def __init__(self, on_error: Callable[[BoundStatement, Exception], None]) -> None:
        """`on_error` hears of what `send` has sent and PostgreSQL refused.

        Not where the connection has gone: `give_up` tells of that.
        """
        self._on_error = on_error
        self._lock = threading.Lock()
        self._database: BaseDatabaseWrapper | None = None
        # By which connection, and which call it was that is to be heard of.
        self._unread: tuple[psycopg.Connection[Any], BoundStatement | None] | None = None
        # What was written without waiting for the disk, and when.
        self._unflushed: deque[tuple[float, Job]] = deque()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Use the connection of this thread, once nobody else does, until it is let go."""
        with self._lock:
            self._database = connections[DEFAULT_DB_ALIAS]
            self._read_reply()
            yield

    # For the one who holds it:

    def add_unflushed(self, job: Job) -> None:
        """Note that a job is done whose end is not on the disk yet."""
        self._unflushed.append((monotonic(), job))

    def check_flushed(self) -> None:
        """Ask PostgreSQL whether it is still there, and forget what it has on its disk by now.

        A connection that ends tells so only to those who ask.
        """
        if not self._unflushed:
            return
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute("SELECT 1")
        while self._unflushed and self._unflushed[0][0] < monotonic() - FLUSH_SECONDS:
            self._unflushed.popleft()

    def give_up(self) -> list[Job]:
        """Close the connection; return the jobs that PostgreSQL may have forgotten with it."""
        connections[DEFAULT_DB_ALIAS].close()
        forgotten = [job for _, job in self._unflushed]
        self._unflushed.clear()
        return forgotten

    # For all others:

    def execute(self, statement: BoundStatement, *, seconds: float) -> bool | None:
        """Return what a statement returns; None where it finds no row, or cannot be sent now.

        Raises:
            TimeoutError: the answer has not come; it may still come.

        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if (driver := self._driver_for(statement)) is None:
                return None
            until = monotonic() + seconds
            self._read_reply(until)
            # First, for the thread may be interrupted: by a soft time limit.
            self._unread = driver, None
            statement.send(driver, until=until)
            answer = receive(driver, until=until)
        except psycopg.Error:
            return None  # whoever asks in another way hears of it
        else:
            self._unread = None
            return answer
        finally:
            self._lock.release()

    def send(self, statement: BoundStatement, *, seconds: float) -> bool:
        """Send a statement, and leave its answer to whoever comes next; False where it cannot be.

        It waits for others at most so many seconds.
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
        if self._database is None:
            return None
        driver: psycopg.Connection[Any] | None = self._database.connection
        if driver is None or not statement.prepared.is_prepared(driver) or not is_open(driver):
            return None
        return driver

    def _read_reply(self, until: float | None = None) -> None:
        """Read the answer to what was sent; TimeoutError where it has not come until then."""
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
