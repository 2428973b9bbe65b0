"""What is written into the ledger while a run is with the workers: each move, at most once.

A move names the states that it begins in, and changes nothing in any other: whoever comes second,
or too late, finds that it has not moved the run. Leases go by the database's clock, as beat does.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F, Q
from django.db.models.functions import Now

from scheduler_api.runs.models import Run

State = Run.State

# A worker says that it lives more often than that; without a sign for so long, it has gone.
LEASE = timedelta(seconds=60)
# How often a run is started at most whose worker was lost, and whose message came again.
MAX_ATTEMPTS = 3

# Not held, and never started. One that was given up, since no worker had told of it, may still
# come out of a long queue.
FRESH = Q(state__in=(State.PENDING, State.QUEUED, State.LOST), started_at=None)
WAITS_AGAIN = Q(state=State.QUEUED, started_at__isnull=False)
TERMINATED = "It was cancelled while it ran, and its process was ended."
TOO_OFTEN = f"Its worker was lost, and it has started {MAX_ATTEMPTS} times."


def start(
    run_id: str, *, at: datetime, worker: str, retries: int = 0, is_redelivered: bool = False
) -> bool:
    """Note that a run starts; False for one that is not to: it has started, or has ended.

    `retries` is Celery's count. What the broker delivers again may start again, when its worker
    has given no sign for LEASE, and not too often. What is no run of ours starts.
    """
    try:
        run = Run.objects.filter(pk=run_id)
        startable = FRESH | WAITS_AGAIN if retries or is_redelivered else FRESH
        if is_redelivered:
            startable |= Q(state=State.RUNNING, lease_until__lt=Now(), attempts__lt=MAX_ATTEMPTS)
        started = run.filter(startable).update(
            state=State.RUNNING,
            started_at=at,
            finished_at=None,
            lease_until=Now() + LEASE,
            worker=worker,
            attempts=F("attempts") + 1,
            is_redelivered=False,
            reason="",
        )
        if started:
            return True
        if is_redelivered and refuse_again(run_id, at=at):
            return False
        return not run.exists()
    except ValidationError:  # no id of ours
        return True


def refuse_again(run_id: str, *, at: datetime) -> bool:
    """Note that a message of a running run came again; False where it is not running.

    Its worker may live, and only have lost the broker. Where it does not, the run is sent once
    more when its lease is over.
    """
    running = Run.objects.filter(pk=run_id, state=State.RUNNING)
    if end(run_id, at=at, state=State.LOST, reason=TOO_OFTEN, only=Q(lease_until__lt=Now())):
        return True
    return running.update(is_redelivered=True) == 1


def end(
    run_id: str,
    *,
    at: datetime,
    state: str,
    started_at: datetime | None = None,
    only: Q | None = None,
    **values: Any,
) -> bool:
    """Note how a run has ended, unless it has; of a certain start alone, where that is given.

    The one who started it knows better than who has given it up.
    """
    run = Run.objects.filter(only or Q(), pk=run_id)
    if started_at is None:
        run = run.filter(state__in=Run.ACTIVE)
    else:
        run = run.filter(started_at=started_at, state__in=(*Run.ACTIVE, State.LOST))
    try:
        ended = run.update(
            **{"reason": "", **values},
            state=state,
            finished_at=at,
            lease_until=None,
            is_held=False,
        )
    except ValidationError:  # no id of ours
        return False
    return ended == 1


def wait_again(run_id: str, *, started_at: datetime, until: datetime, reason: str) -> bool:
    """Note that a run is to be started again, and by when one should have heard of it."""
    running = Run.objects.filter(pk=run_id, state=State.RUNNING, started_at=started_at)
    return running.update(state=State.QUEUED, lease_until=until, reason=reason) == 1


def end_asked_for(run_ids: Iterable[str], *, at: datetime) -> bool:
    """End what somebody has cancelled of the runs of a process; tell whether there is some."""
    ids = list(run_ids)
    asked = Run.objects.filter(pk__in=ids, state=State.RUNNING, is_to_end=True)
    asked.update(state=State.CANCELLED, reason=TERMINATED, finished_at=at, lease_until=None)
    return Run.objects.filter(pk__in=ids, state=State.CANCELLED).exists()


def renew(run_ids: Iterable[str]) -> None:
    """Note that the worker of runs lives."""
    running = Run.objects.filter(pk__in=list(run_ids), state=State.RUNNING)
    running.update(lease_until=Now() + LEASE)


def start_unseen(run_id: str, *, until: datetime) -> bool:
    """Note that a run has started while the ledger could not be told; it stands as it did.

    Until then its message is not missed: it is not in its queue.
    """
    fresh = Run.objects.filter(FRESH, pk=run_id, state__in=Run.ACTIVE)
    try:
        return fresh.update(lease_until=until) == 1
    except ValidationError:  # no id of ours
        return False
