"""Sample tasks to try the service with. Put your own beside them or in modules of your own."""

import hashlib
import time

from celery import Task, shared_task
from celery.utils.log import get_task_logger

logger = get_task_logger(__name__)


@shared_task
def import_contacts(arg1: str, arg2: str, be_careful: bool = False) -> str:
    """Import contacts, carefully or not."""
    logger.info("Importing contacts: arg1=%r arg2=%r be_careful=%r", arg1, arg2, be_careful)
    return f"imported {arg1} and {arg2}"


@shared_task
def add(x: int, y: int) -> int:
    """Add two whole numbers."""
    logger.info("%d + %d = %d", x, y, x + y)
    return x + y


@shared_task
def sign_in(user: str, *, password: str) -> None:
    """Sign in, to see that a secret reaches a worker and is shown nowhere."""
    fingerprint = hashlib.sha256(password.encode()).hexdigest()
    logger.info("Signing in %s with a password of SHA-256 %s", user, fingerprint)


@shared_task
def fail(message: str = "as asked") -> None:
    """Fail, to see what a failure looks like."""
    raise RuntimeError(message)


@shared_task(bind=True)
def fail_at_first(self: Task[..., str], times: int = 1) -> str:
    """Fail `times` times, then succeed, to see what retries look like."""
    if self.request.retries < times:
        message = f"Attempt {self.request.retries + 1} of {times + 1}"
        raise self.retry(exc=RuntimeError(message), countdown=1, max_retries=times)
    return f"succeeded after {times} failures"


@shared_task
def sleep(seconds: float = 1.0) -> None:
    """Sleep, to see what a long run looks like."""
    logger.info("Sleeping for %s s", seconds)
    time.sleep(seconds)
    logger.info("Slept for %s s", seconds)


@shared_task
def heartbeat() -> None:
    """Log a line, to see that beat, broker and worker work together."""
    logger.info("The heart beats")


@shared_task
def clean_up(older_than_days: int = 30) -> None:
    """Remove old data: a placeholder for a project's own clean-up."""
    logger.info("Nothing to clean that is older than %d days", older_than_days)
