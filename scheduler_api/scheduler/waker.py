"""The wait of beat between two ticks, ended early by a change, the broker's reply or a signal."""

import select
from time import monotonic
from typing import Any

import psycopg
from django.db import connection

from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.periodic_tasks.triggers.postgresql import CHANNEL
from scheduler_api.self_pipe import SelfPipe

# Between two tries to listen. Without a listener, beat still looks at the agenda each second.
RETRY_SECONDS = 5

logger = EventLogger(__name__)


class Waker:
    """Waits for a time or a wake-up. On PostgreSQL, the triggers of the agenda wake it too."""

    def __init__(self) -> None:
        self._pipe = SelfPipe()
        self._listener: psycopg.Connection[Any] | None = None
        self._retry_at = 0.0

    def wake(self) -> None:
        """End the current wait, or the next one: from any thread or signal handler."""
        self._pipe.wake()

    def wait(self, seconds: float) -> None:
        """Wait for this many seconds, or until a wake-up."""
        self._listen()
        sources: list[Any] = [self._pipe]
        if self._listener:
            sources.append(self._listener)
        ready, _, _ = select.select(sources, [], [], max(seconds, 0))
        if self._pipe in ready:
            self._pipe.drain()
        if self._listener in ready:
            self._take_notices()

    def close(self) -> None:
        """Close the pipe and the connection."""
        self.stop_listening()
        self._pipe.close()

    def stop_listening(self) -> None:
        """Close the connection to the database; `wait` opens another."""
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
            logger.debug(
                LogEvent.LISTENING_FAILED,
                "Cannot listen for changes: %(error)s",
                error=in_one_line(error),
            )
            self.stop_listening()

    def _take_notices(self) -> None:
        assert self._listener is not None
        try:
            for _ in self._listener.notifies(timeout=0):
                pass
        except psycopg.Error as error:
            logger.debug(
                LogEvent.LISTENING_FAILED,
                "Cannot listen for changes: %(error)s",
                error=in_one_line(error),
            )
            self.stop_listening()
