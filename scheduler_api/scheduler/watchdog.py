"""Close a database connection that hangs: a query waits for its answer without a time limit."""

import os
import socket
import threading
from contextlib import suppress
from time import monotonic
from typing import Any, Self

from django.db import DEFAULT_DB_ALIAS, connections

QUERY_TIMEOUT_SECONDS = 60


class Watchdog:
    """Closes the database socket if a `with` block takes too long; the pending query then fails.

    On PostgreSQL only: SQLite has no socket.
    """

    def __init__(self, *, timeout_seconds: float = QUERY_TIMEOUT_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        self._since: float | None = None
        self._is_closed = threading.Event()
        # The connection of the creating thread: Django keeps one connection per thread.
        self._watched: Any = connections[DEFAULT_DB_ALIAS]
        if self._watched.vendor == "postgresql":
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def __enter__(self) -> Self:
        """Start the timer."""
        self._since = monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the timer."""
        self._since = None

    def close(self) -> None:
        """End the thread."""
        self._is_closed.set()

    def _watch(self) -> None:
        while not self._is_closed.wait(1):
            since = self._since
            if since is not None and monotonic() - since > self._timeout_seconds:
                self._shut_down()

    def _shut_down(self) -> None:
        driver = self._watched.connection
        if driver is None or driver.closed:
            return
        with suppress(OSError), socket.socket(fileno=os.dup(driver.pgconn.socket)) as duplicate:
            duplicate.shutdown(socket.SHUT_RDWR)
