"""A link to the database that is frozen is cut: a query waits for its answer without end."""

import os
import socket
import threading
from contextlib import suppress
from time import monotonic
from typing import Any, Self

from django.db import DEFAULT_DB_ALIAS, connections

PATIENCE_SECONDS = 60


class Watchdog:
    """Cuts the link when what is done under it takes too long; the query then fails."""

    def __init__(self, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._since: float | None = None
        self._is_closed = threading.Event()
        # That of the thread that made this: connections belong to threads.
        self._watched: Any = connections[DEFAULT_DB_ALIAS]
        if self._watched.vendor == "postgresql":
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._since = monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        """Look away."""
        self._since = None

    def close(self) -> None:
        """End the thread."""
        self._is_closed.set()

    def _watch(self) -> None:
        while not self._is_closed.wait(1):
            since = self._since
            if since is not None and monotonic() - since > self._patience_seconds:
                self._cut()

    def _cut(self) -> None:
        driver = self._watched.connection
        if driver is None or driver.closed:
            return
        with suppress(OSError), socket.socket(fileno=os.dup(driver.pgconn.socket)) as link:
            link.shutdown(socket.SHUT_RDWR)
