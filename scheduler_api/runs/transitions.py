"""What is written into the ledger while a run is with the workers: each move, at most once.

A move names the states that it begins in, and changes nothing in any other: whoever comes second,
or too late, finds that it has not moved the run. Leases go by the database's clock, as beat does.

The two moves of a run that succeeds are statements of their own: Django would take longer to put
them together than PostgreSQL to carry them out.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from scheduler_api.periodic_tasks.models import max_attempts_of
from scheduler_api.runs.models import Run
from scheduler_api.worker.prepared_statements import BoundStatement, PreparedStatement

State = Run.State

# A row is created as what it is to become, or as a record of what did not run.
INITIAL_STATES = (State.PENDING, State.MISSED, State.SKIPPED, State.CANCELLED)

# A worker says that it lives more often than that; without a sign for so long, it has gone.
LEASE = timedelta(seconds=settings.RUN_LEASE_SECONDS)

WAITS_AGAIN = Q(state=State.QUEUED, started_at__isnull=False)
TERMINATED = "It was cancelled while it ran, and its process was ended."

# What never started, or is to be started by another message: not what waits for Celery's own. One
# that was given up, since no worker had told of it, may still come out of a long queue.
START = """
UPDATE scheduler_api_run
SET state = 'running', started_at = %(at)s, finished_at = NULL, lease_until = {lease_until},
    worker = %(worker)s, attempts = attempts + 1, reason = ''
WHERE id = %(id)s AND state IN ('pending', 'queued', 'lost') AND started_at IS NULL
RETURNING EXISTS (
    SELECT 1 FROM scheduler_api_failurestreak AS streak
    WHERE streak.periodic_task_id = scheduler_api_run.periodic_task_id
)
"""
start_fresh = PreparedStatement(
    "start_run",
    postgresql=START.format(lease_until=f"statement_timestamp() + interval '{LEASE}'"),
    others=START.format(lease_until="%(lease_until)s"),
)
SUCCEED = """
UPDATE scheduler_api_run
SET state = 'succeeded', reason = '', finished_at = %(at)s, lease_until = NULL,
    result = %(result)s, is_result_truncated = %(is_result_truncated)s,
    error_type = '', error_message = '', traceback = ''
WHERE id = %(id)s AND started_at = %(started_at)s
    AND state IN ('pending', 'queued', 'running', 'lost')
RETURNING {done}
"""
# It need not be on the disk before the next run starts: what a crash of PostgreSQL takes away of
# the last second, the recorder writes again.
end_well = PreparedStatement(
    "end_run_well",
    postgresql=SUCCEED.format(done="set_config('synchronous_commit', 'off', true) = 'off'"),
    others=SUCCEED.format(done="true"),
)


class Start(NamedTuple):
    """What the ledger says to a start: whether to go on, and whether earlier runs have failed."""

    is_to_start: bool
    is_failing: bool = False


# --- Start ------------------------------------------------------------------------------------


def start(
    run_id: str, *, at: datetime, worker: str, retries: int = 0, is_redelivered: bool = False
) -> Start:
    """Note that a run starts, unless it is not to: it has started, or has ended.

    `retries` is Celery's count. What the broker delivers again may start again when its worker
    has given no sign for LEASE, and not more often than its policy says. What is no run of ours
    starts.
    """
    if not (fresh := first_start(run_id, at=at, worker=worker)):
        return Start(True)
    is_failing = fresh()
    if is_failing is not None:
        return Start(True, is_failing)
    run = Run.objects.filter(pk=run_id)
    if (retries or is_redelivered) and start_again(run, at=at, worker=worker, is_lost=not retries):
        return Start(True)
    # The answer to this very start may have been lost with the connection.
    is_mine = run.filter(state=State.RUNNING, started_at=at, worker=worker).exists()
    return Start(is_mine or not run.exists())


def first_start(run_id: str, *, at: datetime, worker: str) -> BoundStatement | None:
    """Return the statement that notes that a run starts which never has; None for no id of ours.

    It returns whether earlier runs have failed.
    """
    try:
        pk = UUID(run_id)
    except ValueError:
        return None
    lease_until = datetime.now(UTC) + LEASE
    return BoundStatement(
        start_fresh, {"id": pk, "at": at, "worker": worker, "lease_until": lease_until}
    )


def start_again(run: QuerySet[Run], *, at: datetime, worker: str, is_lost: bool) -> bool:
    """Note that a run starts once more; False for one whose worker may live, or that has ended.

    A worker may live and only have lost the broker. The message is dropped then: when the lease
    is over, beat finds out.
    """
    startable = WAITS_AGAIN
    if is_lost:
        left = Q(attempts__lt=max_attempts_of("periodic_task_id"))
        startable |= left & Q(state=State.RUNNING, lease_until__lt=Now())
    started = run.filter(startable).update(
        state=State.RUNNING,
        started_at=at,
        finished_at=None,
        lease_until=Now() + LEASE,
        worker=worker,
        attempts=F("attempts") + 1,
        reason="",
    )
    return started == 1


# --- End --------------------------------------------------------------------------------------


def success(run_id: str, **values: Any) -> BoundStatement:
    """Return the statement that notes that a run of which the start is known has succeeded.

    `values` are `at`, `started_at`, `result`, which is JSON, and `is_result_truncated`. The one
    who started it knows better than who has given it up.
    """
    return BoundStatement(end_well, {"id": UUID(run_id), **values})


def succeed(run_id: str, **values: Any) -> bool:
    """Note that a run has succeeded; see `success`."""
    return success(run_id, **values)() is not None


def end(
    run_id: str, *, at: datetime, state: str, started_at: datetime | None = None, **values: Any
) -> bool:
    """Note how a run has ended, unless it has; of a certain start alone, where that is given."""
    try:
        ended = to_end(run_id, started_at=started_at).update(
            **{"reason": "", **values},
            state=state,
            finished_at=at,
            lease_until=None,
            is_buffered=False,
        )
    except ValidationError:  # no id of ours
        return False
    return ended == 1


def to_end(run_id: str, *, started_at: datetime | None) -> QuerySet[Run]:
    """Select a run whose end may be noted; of a certain start, also one that was given up."""
    run = Run.objects.filter(pk=run_id)
    if started_at is None:
        return run.filter(state__in=Run.ACTIVE)
    return run.filter(started_at=started_at, state__in=(*Run.ACTIVE, State.LOST))


def wait_again(run_id: str, *, started_at: datetime, until: datetime, reason: str) -> bool:
    """Note that Celery starts a run again, and by when one should have heard of it."""
    running = Run.objects.filter(pk=run_id, state=State.RUNNING, started_at=started_at)
    return running.update(state=State.QUEUED, lease_until=until, reason=reason) == 1


def end_asked_for(run_ids: Iterable[str], *, at: datetime) -> bool:
    """End what somebody has cancelled of the runs of a process; tell whether there is some."""
    ids = list(run_ids)
    asked = Run.objects.filter(pk__in=ids, state=State.RUNNING, is_cancel_requested=True)
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
    fresh = Run.objects.filter(pk=run_id, state__in=Run.ACTIVE, started_at=None)
    try:
        return fresh.update(lease_until=until) == 1
    except ValidationError:  # no id of ours
        return False
