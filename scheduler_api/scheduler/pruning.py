"""Prune the ledger while beat runs, in a thread of its own.

It is not a periodic task: in an adopted database, the workers may not have it.
"""

import signal
import threading
from collections.abc import Callable
from datetime import timedelta

from django.db import DatabaseError, InterfaceError, connection

from scheduler_api.log_events import EventLogger, LogEvent, in_one_line

# A beat that is restarted more often than this never prunes; others do.
FIRST_DELAY = timedelta(minutes=1)
INTERVAL = timedelta(minutes=10)
STOP_TIMEOUT_SECONDS = 1

logger = EventLogger(__name__)


class Pruner(threading.Thread):
    """Calls `prune` in intervals. Several beats may do so at once: each skips locked rows."""

    def __init__(
        self,
        prune: Callable[[], object],
        *,
        first_delay: timedelta = FIRST_DELAY,
        interval: timedelta = INTERVAL,
    ) -> None:
        super().__init__(name="pruner", daemon=True)
        self._prune = prune
        self._first_delay = first_delay
        self._interval = interval
        self._is_stopping = threading.Event()

    def run(self) -> None:
        # Signals are for the main thread, which a signal to this thread would not wake.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        delay = self._first_delay
        while not self._is_stopping.wait(delay.total_seconds()):
            delay = self._interval
            try:
                self._prune()
            except (DatabaseError, InterfaceError) as error:
                logger.warning(
                    LogEvent.PRUNING_DEFERRED,
                    "Old runs are deleted later: %(error)s",
                    error=in_one_line(error),
                )
            except Exception:
                logger.exception(LogEvent.PRUNING_FAILED, "Old runs cannot be deleted")
            finally:
                connection.close()

    def stop(self) -> None:
        """End the thread; a transaction that is still open then is rolled back."""
        self._is_stopping.set()
        self.join(STOP_TIMEOUT_SECONDS)
