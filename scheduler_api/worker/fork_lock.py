"""A lock that keeps a process from forking while one of its threads uses the database.

The main process of a worker forks in one thread while others write. A child that is forked in the
middle of a write inherits locked locks of SQLite or libpq, and has no thread that releases them.
"""

import os
import threading

# Longest wait of a fork: more than it takes to give up a connection attempt.
FORK_TIMEOUT_SECONDS = 10


class ForkLock:
    """A lock that a fork waits for, up to a timeout, and that is free in the child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_acquired = False
        os.register_at_fork(
            before=self._before, after_in_parent=self._after, after_in_child=self._renew
        )

    @property
    def is_locked(self) -> bool:
        """Whether a fork would have to wait."""
        return self._lock.locked()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _before(self) -> None:
        self._is_acquired = self._lock.acquire(timeout=FORK_TIMEOUT_SECONDS)

    def _after(self) -> None:
        if self._is_acquired:
            self._lock.release()

    def _renew(self) -> None:
        self._lock = threading.Lock()


fork_lock = ForkLock()
