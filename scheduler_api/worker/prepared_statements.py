"""A statement that workers send for each run, by itself, as quickly as the database takes it."""

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
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

# Of those that there are, the one that is made most quickly: not each platform has it.
Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)

VALUE = re.compile(r"%\((\w+)\)s")


class PreparedStatement:
    """An UPDATE of one row, with `%(name)s` for its values, that returns whether something is so.

    On PostgreSQL it is prepared once per connection and given to libpq as it is: the cursors of
    psycopg and Django take longer around it than PostgreSQL does for it. Within a transaction,
    and on any other database, it takes the usual way.
    """

    def __init__(self, name: str, *, postgresql: str, others: str) -> None:
        """Each text may leave out values that the other one has."""
        self._name = name.encode()
        self._postgresql, self._others = postgresql, others
        self._values = list(dict.fromkeys(VALUE.findall(postgresql)))
        by_number = VALUE.sub(lambda found: f"${self._values.index(found[1]) + 1}", postgresql)
        self._prepared_text = by_number.encode()
        self._prepared: WeakSet[psycopg.Connection[Any]] = WeakSet()

    def __call__(self, **values: Any) -> bool | None:
        """Return what it returns; None when it has found no such row."""
        database = connections[DEFAULT_DB_ALIAS]  # once: `connection` looks it up each time
        is_postgresql = database.vendor == "postgresql"
        if is_postgresql and not database.in_atomic_block:
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
        """Tell whether a connection has it, so that it can be sent."""
        return driver in self._prepared

    def send(self, driver: psycopg.Connection[Any], *, until: float, **values: Any) -> None:
        """Send it by a connection that has it, and do not wait for the answer."""
        driver.pgconn.send_query_prepared(self._name, self._as_texts(values))
        while driver.pgconn.flush():  # a long result is more than the socket takes at once
            wait_for_socket(driver.pgconn, until, EVENT_READ | EVENT_WRITE)

    def _as_texts(self, values: dict[str, Any]) -> list[bytes]:
        return [as_text(values[name]) for name in self._values]


@dataclass(frozen=True, slots=True)
class BoundStatement:
    """A statement with its values, to be sent by whatever connection."""

    prepared: PreparedStatement
    values: dict[str, Any]

    def __call__(self) -> bool | None:
        """Send it by Django's connection, and return what it returns."""
        return self.prepared(**self.values)

    def send(self, driver: psycopg.Connection[Any], *, until: float) -> None:
        """Send it by a connection that has it prepared, until a moment of `monotonic()`.

        Raises TimeoutError.
        """
        self.prepared.send(driver, until=until, **self.values)


def receive(driver: psycopg.Connection[Any], *, until: float | None = None) -> bool | None:
    """Wait for what a statement that was sent returns, at most until a moment of `monotonic()`.

    Raises:
        psycopg.Error: it has failed, or the connection is gone.
        TimeoutError: the answer is not here; it may still come.

    """
    pgconn = driver.pgconn
    pgconn.consume_input()  # it may be here already
    results: list[PGresult] = []
    while True:
        if pgconn.is_busy():
            wait_for_socket(pgconn, until, EVENT_READ)
        elif result := pgconn.get_result():
            results.append(result)
        else:
            return value_of(driver, results[0]) if results else None


def wait_for_socket(pgconn: PGconn, until: float | None, events: int) -> None:
    """Wait until the socket gives more, or takes more, and read what there is."""
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
    """Return what psycopg would raise."""
    if driver.pgconn.status != ConnStatus.OK:
        return psycopg.OperationalError(result.get_error_message())
    return error_from_result(result)


def as_text(value: Any) -> bytes:
    """Return a value as PostgreSQL reads it: texts, ids, moments, and yes or no."""
    return (value.isoformat() if isinstance(value, datetime) else str(value)).encode()


def as_stored(value: Any) -> Any:
    """Return a value as Django stores it."""
    match value:
        case datetime():
            return connection.ops.adapt_datetimefield_value(value)
        case UUID() if not connection.features.has_native_uuid_field:
            return value.hex
    return value
