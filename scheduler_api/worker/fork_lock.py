"""A fork of this process does not come in the middle of what a thread does with the database.

A worker's main process forks in one thread while others write: a child that comes from the middle
of it would find the locks of SQLite or libpq taken, and nobody there to let go of them.
"""

import os
import threading

# For which a fork waits: longer than it takes to give up a connection that is not made.
FORK_TIMEOUT_SECONDS = 10


class ForkLock:
    """A lock that a fork waits for, though not for long, and that is free in the child."""

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
