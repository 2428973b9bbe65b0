"""The pool of a worker on the embedded broker: one of its processes may be killed at any moment.

On RabbitMQ and Redis each process has a pipe of its own. On files Celery takes billiard's older
pool, whose processes wait for work at one pipe, each in its turn, which is a lock: one that was
killed while it waited kept it for ever, and the others got nothing to do.
"""

import fcntl
from tempfile import TemporaryFile
from typing import Any

from billiard.pool import Pool
from celery.concurrency import prefork


class OwnedLock:
    """A lock between processes that the kernel takes from its owner when that ends, however."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 - as long as the pool

    def acquire(self) -> bool:
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class OwnedPool(Pool):
    """billiard's pool, with such locks around its pipes."""

    _inqueue: Any
    _outqueue: Any

    def _setup_queues(self) -> None:
        super()._setup_queues()  # type: ignore[misc]
        for queue in (self._inqueue, self._outqueue):
            queue._rlock, queue._wlock = OwnedLock(), OwnedLock()


class TaskPool(prefork.TaskPool):
    """Celery's pool of processes."""

    BlockingPool = OwnedPool
