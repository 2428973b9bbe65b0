"""Waiting for the end of a run: each waiting caller occupies a thread of the API."""

from collections.abc import Callable
from datetime import timedelta
from threading import BoundedSemaphore
from time import monotonic, sleep

from django.conf import settings

from scheduler_api.backoff import backoff
from scheduler_api.runs.models import Run

MAX_SECONDS = 60
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = timedelta(seconds=0.05), timedelta(seconds=1), 1.5
# Half of a process's threads may wait, so that the other half still serves requests.
seats = BoundedSemaphore(max(settings.API_THREADS // 2, 1))


def when_ended(read: Callable[[], Run], *, timeout_seconds: float) -> Run:
    """Return a run when it has ended, or as it is after `timeout_seconds`.

    It does not wait if too many callers wait already: the caller repeats the request.
    """
    run, end = read(), monotonic() + timeout_seconds
    if run.state not in Run.ACTIVE or not timeout_seconds or not seats.acquire(blocking=False):
        return run
    try:
        reads = 1
        while run.state in Run.ACTIVE and (left := end - monotonic()) > 0:
            pause = backoff(reads, first=FIRST_PAUSE, longest=LONGEST_PAUSE, factor=GROWTH)
            sleep(min(pause.total_seconds(), left))
            run = read()
            reads += 1
    finally:
        seats.release()
    return run
