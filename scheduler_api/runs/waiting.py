"""Callers who wait for the end of a run: each takes a thread of the API meanwhile."""

from collections.abc import Callable
from datetime import timedelta
from threading import BoundedSemaphore
from time import monotonic, sleep

from django.conf import settings

from scheduler_api.backoff import backoff
from scheduler_api.runs.models import Run

MAX_SECONDS = 60
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = timedelta(seconds=0.05), timedelta(seconds=1), 1.5
# The other half of a process's threads goes on answering.
seats = BoundedSemaphore(max(settings.API_THREADS // 2, 1))


def when_ended(read: Callable[[], Run], *, within: float) -> Run:
    """Return a run when it has ended, or as it is after so many seconds.

    At once, too, when as many wait as there are seats: the caller asks again.
    """
    run, end = read(), monotonic() + within
    if run.state not in Run.ACTIVE or not within or not seats.acquire(blocking=False):
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
