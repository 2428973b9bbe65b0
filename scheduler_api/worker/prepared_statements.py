"""Statements that workers send for each run, prepared once and executed by libpq."""

import re
import selectors
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from selectors import EVENT_READ, EVENT_WRITE
from time import monotonic
from typing import Any
from uuid import UUID
from weakref import WeakSet

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

# The selector that is cheapest to create; not every platform has it.
Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)

PARAMETER = re.compile(r"%\((\w+)\)s")


class PreparedStatement:
    """An UPDATE of one row that returns a boolean, with `%(name)s` for its parameters.

    On PostgreSQL it is prepared once per connection and executed by libpq: the cursors of psycopg
    and Django take longer than PostgreSQL itself. In a transaction, on any other database, and
    with FAST_PATHS off, Django's cursor executes it.
    """

    def __init__(self, name: str, *, postgresql: str, others: str) -> None:
        """Each text may leave out parameters that the other one has."""
        self._name = name.encode()
        self._postgresql, self._others = postgresql, others
        self._values = list(dict.fromkeys(PARAMETER.findall(postgresql)))
        by_number = PARAMETER.sub(lambda found: f"${self._values.index(found[1]) + 1}", postgresql)
        self._prepared_text = by_number.encode()
        self._prepared: WeakSet[psycopg.Connection[Any]] = WeakSet()

    def __call__(self, **values: Any) -> bool | None:
        """Execute it and return its value; None if it finds no row."""
        database = connections[DEFAULT_DB_ALIAS]  # once: `connection` looks it up each time
        is_postgresql = database.vendor == "postgresql"
        if is_postgresql and settings.FAST_PATHS and not database.in_atomic_block:
            return self._by_libpq(database, self._as_texts(values))
        text = self._postgresql if is_postgresql else self._others
        with database.cursor() as cursor:
            cursor.execute(text, {name: as_stored(value) for name, value in values.items()})
            row = cursor.fetchone()
        return bool(row[0]) if row else None

    def _by_libpq(self, database: BaseDatabaseWrapper, values: Sequence[bytes]) -> bool | None:
        database.ensure_connection()
        driver: psycopg.Connection[Any] = database.connection
        with database.wrap_database_errors:
            if driver not in self._prepared:
                result = driver.pgconn.prepare(self._name, self._prepared_text)
                if result.status != ExecStatus.COMMAND_OK:
                    raise error_of(driver, result)
                self._prepared.add(driver)
            return value_of(driver, driver.pgconn.exec_prepared(self._name, values))

    def is_prepared(self, driver: psycopg.Connection[Any]) -> bool:
        """Return whether a connection has prepared it, so that it can be sent."""
        return driver in self._prepared

    def send(self, driver: psycopg.Connection[Any], *, until: float, **values: Any) -> None:
        """Send it on a connection that has prepared it, without waiting for the reply."""
        driver.pgconn.send_query_prepared(self._name, self._as_texts(values))
        while driver.pgconn.flush():  # a long result exceeds the socket's buffer
            wait_for_socket(driver.pgconn, until, EVENT_READ | EVENT_WRITE)

    def _as_texts(self, values: dict[str, Any]) -> list[bytes]:
        return [as_text(values[name]) for name in self._values]


@dataclass(frozen=True, slots=True)
class BoundStatement:
    """A statement with its values, for any connection."""

    prepared: PreparedStatement
    values: dict[str, Any]

    def __call__(self) -> bool | None:
        """Execute it on Django's connection, and return its value."""
        return self.prepared(**self.values)

    def send(self, driver: psycopg.Connection[Any], *, until: float) -> None:
        """Send it on a connection that has prepared it, until a time of `monotonic()`.

        Raises TimeoutError.
        """
        self.prepared.send(driver, until=until, **self.values)


def receive(driver: psycopg.Connection[Any], *, until: float | None = None) -> bool | None:
    """Wait for the reply to a sent statement, at most until a time of `monotonic()`.

    Returns the statement's value.

    Raises:
        psycopg.Error: the statement has failed, or the connection is lost.
        TimeoutError: no reply in time; it may still come.

    """
    pgconn = driver.pgconn
    pgconn.consume_input()  # the reply may have arrived already
    results: list[PGresult] = []
    while True:
        if pgconn.is_busy():
            wait_for_socket(pgconn, until, EVENT_READ)
        elif result := pgconn.get_result():
            results.append(result)
        else:
            return value_of(driver, results[0]) if results else None


def wait_for_socket(pgconn: PGconn, until: float | None, events: int) -> None:
    """Wait until the socket is ready for `events`, and read what it has."""
    left = None if until is None else max(0.0, until - monotonic())
    with Selector() as selector:
        selector.register(pgconn.socket, events)
        if not selector.select(left):
            raise TimeoutError
    pgconn.consume_input()


def value_of(driver: psycopg.Connection[Any], result: PGresult) -> bool | None:
    if result.status != ExecStatus.TUPLES_OK:
        raise error_of(driver, result)
    return result.get_value(0, 0) == b"t" if result.ntuples else None


def error_of(driver: psycopg.Connection[Any], result: PGresult) -> psycopg.Error:
    """Return the error that psycopg would raise."""
    if driver.pgconn.status != ConnStatus.OK:
        return psycopg.OperationalError(result.get_error_message())
    return error_from_result(result)


def as_text(value: Any) -> bytes:
    """Return a text, an id, a datetime or a boolean as PostgreSQL reads it."""
    return (value.isoformat() if isinstance(value, datetime) else str(value)).encode()


def as_stored(value: Any) -> Any:
    """Return a value as Django stores it."""
    match value:
        case datetime():
            return connection.ops.adapt_datetimefield_value(value)
        case UUID() if not connection.features.has_native_uuid_field:
            return value.hex
    return value
