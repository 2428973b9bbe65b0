"""Callers who wait for the end of a run: each takes a thread of the API meanwhile."""

from collections.abc import Callable
from threading import BoundedSemaphore
from time import monotonic, sleep

from django.conf import settings

from scheduler_api.runs.models import Run

MAX_SECONDS = 60
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.05, 1.0, 1.5
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
        pause = FIRST_PAUSE
        while run.state in Run.ACTIVE and (left := end - monotonic()) > 0:
            sleep(min(pause, left))
            pause = min(GROWTH * pause, LONGEST_PAUSE)
            run = read()
    finally:
        seats.release()
    return run
