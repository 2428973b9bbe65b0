"""A pipe to itself, by which one thread of a process ends the wait of another."""

import contextlib
import os
import threading


class SelfPipe:
    """A pipe that a thread waits on in `select`, and that any thread or signal handler writes to.

    After `close`, `wake` does nothing: by then, the number of the descriptor may belong to another
    file. The lock is reentrant, because a signal handler may interrupt `wake` in its own thread.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._lock = threading.RLock()
        self._is_closed = False

    def fileno(self) -> int:
        """Return the descriptor that becomes readable on `wake`."""
        return self._reader

    def wake(self) -> None:
        """End the current wait, or the next one."""
        # A full pipe wakes its reader already.
        with self._lock, contextlib.suppress(BlockingIOError):
            if not self._is_closed:
                os.write(self._writer, b"!")

    def drain(self) -> None:
        """Read all wake-ups so far, so that the next wait lasts until a new one."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    def close(self) -> None:
        """Close both ends; twice does no harm."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.close(self._writer)
                os.close(self._reader)
