"""The worker pool for the embedded broker: its processes may be killed at any moment.

On RabbitMQ and Redis each process has a pipe of its own. On files Celery uses billiard's older
pool, whose processes share one pipe, and hold a lock while they wait for work. A process that was
killed while it waited kept the lock for ever, and the others got no work.
"""

import fcntl
import warnings
from tempfile import TemporaryFile
from typing import Any

from billiard.pool import Pool
from celery.concurrency import prefork
from celery.exceptions import SecurityWarning

# In a container, `make up` runs as root. Celery warns of messages in pickle, which are refused.
warnings.filterwarnings("ignore", category=SecurityWarning)


class OwnedLock:
    """A lock between processes, which the kernel releases when its owner ends for any reason."""

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
    """billiard's pool, with an OwnedLock around each pipe."""

    _inqueue: Any
    _outqueue: Any

    def _setup_queues(self) -> None:
        super()._setup_queues()  # type: ignore[misc]
        for queue in (self._inqueue, self._outqueue):
            queue._rlock, queue._wlock = OwnedLock(), OwnedLock()


class TaskPool(prefork.TaskPool):
    """Celery's pool of processes."""

    BlockingPool = OwnedPool
