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

from scheduler_api.worker.prepared_statements import Call, receive

# What PostgreSQL answers then, it has on its disk, also where it has not waited for that.
SETTLED_SECONDS = 5

Job = Callable[[], Any]


class Line:
    """A connection that one thread uses at a time, and one statement whose answer is to be read.

    To have the recorder's thread send a statement costs two changes of threads, which take longer
    than PostgreSQL does. Another thread can use only a connection of PostgreSQL's that is open and
    has the statement prepared: of any other, `ask` and `send` say that they have done nothing.
    """

    def __init__(self, on_error: Callable[[Call, Exception], None]) -> None:
        """`on_error` hears of what `send` has sent and PostgreSQL refused.

        Not where the connection has gone: `give_up` tells of that.
        """
        self._on_error = on_error
        self._lock = threading.Lock()
        self._database: BaseDatabaseWrapper | None = None
        # By which connection, and which call it was that is to be heard of.
        self._sent: tuple[psycopg.Connection[Any], Call | None] | None = None
        # What was written without waiting for the disk, and when.
        self._unsettled: deque[tuple[float, Job]] = deque()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Use the connection of this thread, once nobody else does, until it is let go."""
        with self._lock:
            self._database = connections[DEFAULT_DB_ALIAS]
            self._read_answer()
            yield

    # For the one who holds it:

    def remember(self, job: Job) -> None:
        """Note that a job is done whose end is not on the disk yet."""
        self._unsettled.append((monotonic(), job))

    def settle(self) -> None:
        """Ask PostgreSQL whether it is still there, and forget what it has on its disk by now.

        A connection that ends tells so only to those who ask.
        """
        if not self._unsettled:
            return
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute("SELECT 1")
        while self._unsettled and self._unsettled[0][0] < monotonic() - SETTLED_SECONDS:
            self._unsettled.popleft()

    def give_up(self) -> list[Job]:
        """Close the connection; return the jobs that PostgreSQL may have forgotten with it."""
        connections[DEFAULT_DB_ALIAS].close()
        forgotten = [job for _, job in self._unsettled]
        self._unsettled.clear()
        return forgotten

    # For all others:

    def ask(self, call: Call, *, seconds: float) -> bool | None:
        """Return what a statement returns; None where it finds no row, or cannot be sent now.

        Raises:
            TimeoutError: the answer has not come; it may still come.

        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if (driver := self._driver_for(call)) is None:
                return None
            until = monotonic() + seconds
            self._read_answer(until)
            # First, for the thread may be interrupted: by a soft time limit.
            self._sent = driver, None
            call.send(driver, until=until)
            answer = receive(driver, until=until)
        except psycopg.Error:
            return None  # whoever asks in another way hears of it
        else:
            self._sent = None
            return answer
        finally:
            self._lock.release()

    def send(self, call: Call, *, seconds: float) -> bool:
        """Send a statement, and leave its answer to whoever comes next; False where it cannot be.

        It waits for others at most so many seconds.
        """
        if not self._lock.acquire(timeout=seconds):
            return False
        try:
            if (driver := self._driver_for(call)) is None:
                return False
            until = monotonic() + seconds
            self._read_answer(until)
            self._sent = driver, call
            call.send(driver, until=until)
            self.remember(call)
        except (psycopg.Error, TimeoutError):
            return False
        else:
            return True
        finally:
            self._lock.release()

    def _driver_for(self, call: Call) -> psycopg.Connection[Any] | None:
        if self._database is None:
            return None
        driver: psycopg.Connection[Any] | None = self._database.connection
        if driver is None or not call.statement.is_prepared(driver) or not is_open(driver):
            return None
        return driver

    def _read_answer(self, until: float | None = None) -> None:
        """Read the answer to what was sent; TimeoutError where it has not come until then."""
        if self._sent is None or self._database is None:
            return
        driver, call = self._sent
        try:
            with self._database.wrap_database_errors:
                receive(driver, until=until)
        except (DatabaseError, InterfaceError) as error:
            if call and is_open(driver):
                self._on_error(call, error)
        self._sent = None


def is_open(driver: psycopg.Connection[Any]) -> bool:
    return driver.pgconn.status == ConnStatus.OK
