"""What wakes beat before its time: a change of a definition, an answer of the broker, a signal."""

import contextlib
import logging
import os
import select
from time import monotonic
from typing import Any

import psycopg
from django.db import connection

from scheduler_api.periodic_tasks.triggers.postgresql import CHANNEL

# A listener that could not be had is tried for again; the agenda is looked at each second anyhow.
RETRY_SECONDS = 5

logger = logging.getLogger(__name__)


class Alarm:
    """Waits, until somebody rings. On PostgreSQL the triggers of the agenda ring, too."""

    def __init__(self) -> None:
        self._ear, self._bell = os.pipe()
        os.set_blocking(self._ear, False)
        os.set_blocking(self._bell, False)
        self._listener: psycopg.Connection[Any] | None = None
        self._retry_at = 0.0

    def ring(self) -> None:
        """End the wait, or the next one: from any thread, or from a handler of a signal."""
        with contextlib.suppress(BlockingIOError):  # it rings already
            os.write(self._bell, b"!")

    def wait(self, seconds: float) -> None:
        """Wait so long, or until somebody rings."""
        self._listen()
        ears = [self._ear] + ([self._listener.fileno()] if self._listener else [])
        heard, _, _ = select.select(ears, [], [], max(seconds, 0))
        if self._ear in heard:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._ear, 4096):
                    pass
        if len(heard) > 1 or (heard and self._ear not in heard):
            self._take_notices()

    def close(self) -> None:
        """Let go of all that it holds."""
        self.deafen()
        os.close(self._ear)
        os.close(self._bell)

    def deafen(self) -> None:
        """Let go of the database; `wait` listens again."""
        if self._listener:
            self._listener.close()
            self._listener = None

    def _listen(self) -> None:
        if self._listener or connection.vendor != "postgresql" or monotonic() < self._retry_at:
            return
        self._retry_at = monotonic() + RETRY_SECONDS
        parameters = connection.get_connection_params()
        for name in ("cursor_factory", "context", "prepare_threshold"):
            parameters.pop(name, None)
        try:
            self._listener = psycopg.connect(**parameters, autocommit=True)
            self._listener.execute(f"LISTEN {CHANNEL}")
        except psycopg.Error as error:
            logger.debug("Cannot listen for changes: %s", error)
            self.deafen()

    def _take_notices(self) -> None:
        assert self._listener is not None
        try:
            for _ in self._listener.notifies(timeout=0):
                pass
        except psycopg.Error as error:
            logger.debug("Cannot listen for changes: %s", error)
            self.deafen()
