"""The states of a run: the table of legal moves, and the only code that writes `Run.state`.

Each move is a compare-and-set: it names the states that it begins in and changes no run in any
other state. A second or late writer learns from the result that nothing moved.

`docs/runs.md` shows this table. The row itself is created by `runs.creation`.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Case, DateTimeField, F, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Now

from scheduler_api.periodic_tasks.models import max_attempts_of
from scheduler_api.runs import transition_sql
from scheduler_api.runs.events import FailureStreak
from scheduler_api.runs.models import LEASE, Run
from scheduler_api.runs.transition_sql import FastSql

State = Run.State

# A run is created to be published, or as the record of a slot that is not published.
INITIAL_STATES = (State.PENDING, State.MISSED, State.SKIPPED, State.CANCELLED)
# A worker started the run while the ledger did not answer; see `record_unseen_start`.
UNRECORDED_START = Q(started_at__isnull=True, lease_until__isnull=False)
TERMINATED = "It was cancelled while it ran, and its process was ended."


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A legal move from some states to one, and its fast version if it has one."""

    name: str
    from_states: tuple[State, ...]
    to_state: State
    when: str
    """The event that causes it, as a sentence for docs/runs.md."""
    sql: FastSql | None = None

    def apply(self, runs: QuerySet[Run], **columns: Any) -> int:
        """Move those of the runs that are in a state of `from_states`; return how many moved."""
        movable = runs.filter(state__in=self.from_states)
        return movable.update(state=self.to_state, **columns)

    def apply_each(self, runs: Sequence[Run], columns: Collection[str]) -> int:
        """Move locked runs, each with its own values in `columns`; return how many moved."""
        for run in runs:
            run.state = self.to_state
        movable = Run.objects.filter(state__in=self.from_states)
        return movable.bulk_update(runs, {"state", *columns})


CONFIRM = Transition(
    name="confirm",
    from_states=(State.PENDING,),
    to_state=State.QUEUED,
    when="The broker confirms the message.",
    sql=transition_sql.CONFIRM,
)
# A run that was marked `lost` without a report may still come out of a long queue.
START = Transition(
    name="start",
    from_states=(State.PENDING, State.QUEUED, State.LOST),
    to_state=State.RUNNING,
    when="A worker starts the run for the first time.",
    sql=transition_sql.START,
)
START_AGAIN = Transition(
    name="start_again",
    from_states=(State.QUEUED, State.RUNNING, State.LOST),
    to_state=State.RUNNING,
    when="A worker starts it again: a retry by Celery, a task that replaces its own, or a "
    "redelivered message after its lease.",
)
REQUEUE = Transition(
    name="requeue",
    from_states=(State.RUNNING,),
    to_state=State.QUEUED,
    when="The task raises `Retry` or `Reject`, or is replaced: Celery delivers another message.",
)
SUCCEED = Transition(
    name="succeed",
    from_states=(*Run.ACTIVE, State.LOST),
    to_state=State.SUCCEEDED,
    when="The task returns.",
    sql=transition_sql.SUCCEED,
)
FAIL = Transition(
    name="fail",
    from_states=(*Run.ACTIVE, State.LOST),
    to_state=State.FAILED,
    when="The task raises an exception, and `max_attempts` are used up.",
)
LOSE = Transition(
    name="lose",
    from_states=Run.ACTIVE,
    to_state=State.LOST,
    when="Its worker is gone or silent, and `max_attempts` are used up.",
)
RETRY = Transition(
    name="retry",
    from_states=Run.ACTIVE,
    to_state=State.PENDING,
    when="It failed or was lost, and has attempts left.",
)
CANCEL = Transition(
    name="cancel",
    from_states=(State.PENDING, State.QUEUED),
    to_state=State.CANCELLED,
    when="A caller cancels it before it starts.",
)
TERMINATE = Transition(
    name="terminate",
    from_states=(State.RUNNING,),
    to_state=State.CANCELLED,
    when="Its worker ends its process because a caller cancelled it.",
)
REVOKE = Transition(
    name="revoke",
    from_states=Run.ACTIVE,
    to_state=State.CANCELLED,
    when="A worker reports that it was revoked or terminated.",
)
REPLACE = Transition(
    name="replace",
    from_states=Run.ACTIVE,
    to_state=State.CANCELLED,
    when="The next run takes its place under `overlap: cancel_previous`.",
)
EXPIRE = Transition(
    name="expire",
    from_states=Run.ACTIVE,
    to_state=State.EXPIRED,
    when="A worker reports that its message came too late.",
)
EXPIRE_UNSENT = Transition(
    name="expire_unsent",
    from_states=(State.PENDING,),
    to_state=State.EXPIRED,
    when="Its message is too old before the broker accepts it.",
)
EXPIRE_UNSTARTED = Transition(
    name="expire_unstarted",
    from_states=(State.PENDING, State.QUEUED),
    to_state=State.EXPIRED,
    when="Its message has expired, and no worker has reported a start.",
)
RETURN = Transition(
    name="return",
    from_states=(State.PENDING,),
    to_state=State.UNROUTABLE,
    when="The broker returns its message: no queue accepts it.",
)

TRANSITIONS = (
    CONFIRM,
    START,
    START_AGAIN,
    REQUEUE,
    SUCCEED,
    FAIL,
    LOSE,
    RETRY,
    CANCEL,
    TERMINATE,
    REVOKE,
    REPLACE,
    EXPIRE,
    EXPIRE_UNSENT,
    EXPIRE_UNSTARTED,
    RETURN,
)
# The move of `end`, by the state that a worker reports.
ENDS = {move.to_state: move for move in (SUCCEED, FAIL, LOSE, REVOKE, EXPIRE)}
UNPUBLISHED = {move.to_state: move for move in (EXPIRE_UNSENT, RETURN)}


class Start(NamedTuple):
    """The reply to a start: whether the worker may run it, and whether earlier runs failed."""

    is_to_start: bool
    is_failing: bool = False


# --- Publish ------------------------------------------------------------------------------------


def confirm(run_ids: Collection[str], *, at: datetime) -> int:
    """Record that the broker has messages, in one statement; return how many rows changed.

    A worker may be faster than the confirmation: such a run keeps its state.
    """
    unconfirmed = Run.objects.filter(pk__in=run_ids, queued_at=None)
    moves = When(state__in=CONFIRM.from_states, then=Value(CONFIRM.to_state))
    return unconfirmed.update(state=Case(moves, default=F("state")), queued_at=at)


def end_unpublished(run_id: str, *, state: str, reason: str) -> bool:
    """End a run whose message the broker will not deliver: `expired` or `unroutable`."""
    move = UNPUBLISHED[State(state)]
    return move.apply(Run.objects.filter(pk=run_id), reason=reason) == 1


# --- Start --------------------------------------------------------------------------------------


def start(
    run_id: str,
    *,
    at: datetime,
    worker: str,
    retries: int = 0,
    is_redelivered: bool = False,
    start_first: Callable[[], bool | None] | None = None,
) -> Start:
    """Record that a worker starts a run, unless it has started already or has ended.

    `retries` is Celery's count. A redelivered message may start again if its worker has not
    renewed the lease, and not more often than its policy allows. The ledger does not know every
    id: a message of an unknown run starts.

    `start_first` is a faster version of `first_start`, where the caller has one.
    """
    run = of_id(run_id)
    if run is None:
        return Start(True)
    is_failing = start_first() if start_first else first_start(run_id, at=at, worker=worker)
    if is_failing is not None:
        return Start(True, is_failing)
    if (retries or is_redelivered) and start_again(run, at=at, worker=worker, is_lost=not retries):
        return Start(True)
    # The reply to this very start may have been lost with the connection.
    is_mine = run.filter(state=State.RUNNING, started_at=at, worker=worker).exists()
    return Start(is_mine or not run.exists())


def of_id(run_id: str) -> QuerySet[Run] | None:
    """Select a run; None if this is not the id of a run, but of a task that others sent."""
    try:
        return Run.objects.filter(pk=UUID(run_id))
    except ValueError:
        return None


def first_start(run_id: str, *, at: datetime, worker: str) -> bool | None:
    """Start a run that never started; return whether earlier runs failed, None if not moved."""
    run = Run.objects.filter(pk=run_id)
    started = START.apply(run.filter(started_at=None), **columns_of_start(at=at, worker=worker))
    if not started:
        return None
    task_ids = run.values("periodic_task_id")
    return FailureStreak.objects.filter(periodic_task_id__in=task_ids).exists()


def start_again(run: QuerySet[Run], *, at: datetime, worker: str, is_lost: bool) -> bool:
    """Start a run once more; False if its worker may be alive, or if it has ended.

    A live worker may have lost only the broker. The message is dropped then: beat finds out when
    the lease is over.
    """
    startable = Q(state=State.QUEUED, started_at__isnull=False)
    if is_lost:
        left = Q(attempts__lt=max_attempts_of("periodic_task_id"))
        startable |= left & Q(state=State.RUNNING, lease_until__lt=Now())
    columns = columns_of_start(at=at, worker=worker)
    return START_AGAIN.apply(run.filter(startable), **columns) == 1


def start_part(
    run_id: str, *, started_at: datetime | None, at: datetime, worker: str, is_retry: bool
) -> Start:
    """Record that a worker starts a task that replaces a run's own, unless the run has ended.

    `started_at` is the start that was replaced: after another attempt, its tasks no longer count.
    None if it was not recorded.
    """
    run = of_id(run_id)
    if run is None or not run.exists():
        return Start(True)
    start = run.filter(started_at=started_at) if started_at else run
    moved = START_AGAIN.apply(
        start,
        started_at=Coalesce("started_at", Value(at), output_field=DateTimeField()),
        finished_at=None,
        lease_until=Now() + LEASE,
        worker=worker,
        attempts=F("attempts") + int(is_retry),
        reason="",
    )
    streaks = FailureStreak.objects.filter(periodic_task_id__in=run.values("periodic_task_id"))
    return Start(moved == 1, streaks.exists())


def is_active(run_id: str, *, started_at: datetime | None) -> bool:
    """Return whether tasks that replace a run's own may run: it has not ended or begun anew."""
    run = of_id(run_id)
    if run is None or not run.exists():
        return True
    start = run.filter(started_at=started_at) if started_at else run
    return start.filter(state__in=Run.ACTIVE).exists()


def await_part(run_id: str, *, started_at: datetime | None, until: datetime) -> bool:
    """Record that a replacing task has ended; the run is lost if none reports by `until`."""
    running = Run.objects.filter(pk=run_id, state=State.RUNNING)
    if started_at:
        running = running.filter(started_at=started_at)
    return running.update(lease_until=until) == 1


def columns_of_start(*, at: datetime, worker: str) -> dict[str, Any]:
    """Return the columns that a start writes; the lease goes by the database's clock."""
    return {
        "started_at": at,
        "finished_at": None,
        "lease_until": Now() + LEASE,
        "worker": worker,
        "attempts": F("attempts") + 1,
        "reason": "",
    }


def is_running(run_id: str) -> bool:
    """Return whether a run is running."""
    run = of_id(run_id)
    return run is not None and run.filter(state=State.RUNNING).exists()


def record_unseen_start(run_id: str, *, until: datetime) -> bool:
    """Record a start that the ledger could not record in time; its state stays.

    Until then its message is not missed: it is not in its queue.
    """
    fresh = Run.objects.filter(pk=run_id, state__in=Run.ACTIVE, started_at=None)
    try:
        return fresh.update(lease_until=until) == 1
    except ValidationError:  # not the id of a run
        return False


def requeue(
    run_id: str,
    *,
    started_at: datetime | None = None,
    until: datetime,
    reason: str,
    expires_at: datetime | None = None,
) -> bool:
    """Record that Celery starts a run again; it is lost if no worker reports by `until`.

    `expires_at` is when the message of the next start expires. With `started_at`, only of that
    start.
    """
    running = Run.objects.filter(pk=run_id)
    if started_at:
        running = running.filter(started_at=started_at)
    columns = {"lease_until": until, "reason": reason, "expires_at": expires_at}
    return REQUEUE.apply(running, **columns) == 1


def note_while_queued(run_id: str, *, reason: str) -> bool:
    """Record why a run still waits; its state stays, and a start clears the reason."""
    try:
        waiting = Run.objects.filter(pk=run_id, state__in=CANCEL.from_states)
        return waiting.update(reason=reason) == 1
    except ValidationError:  # not the id of a run
        return False


def put_back(run_id: str, *, started_at: datetime | None = None, reason: str) -> bool:
    """Record that the broker delivers the message of a run again, as if it had not started.

    With `started_at`, only of that start.
    """
    running = Run.objects.filter(pk=run_id)
    if started_at:
        running = running.filter(started_at=started_at)
    return REQUEUE.apply(running, started_at=None, lease_until=None, reason=reason) == 1


def renew_leases(run_ids: Iterable[str]) -> None:
    """Record that the worker of these runs is alive."""
    running = Run.objects.filter(pk__in=list(run_ids), state=State.RUNNING)
    running.update(lease_until=Now() + LEASE)


# --- End ----------------------------------------------------------------------------------------


def succeed(
    run_id: str, *, at: datetime, started_at: datetime, result: str, is_result_truncated: bool
) -> bool:
    """Record the success of a known start; `result` is JSON.

    The worker that started the run knows better than beat, which may have marked it `lost`.
    """
    run = Run.objects.filter(pk=run_id, started_at=started_at)
    succeeded = SUCCEED.apply(
        run,
        reason="",
        finished_at=at,
        lease_until=None,
        result=result,
        is_result_truncated=is_result_truncated,
        error_type="",
        error_message="",
        traceback="",
    )
    return succeeded == 1


def end(
    run_id: str, *, at: datetime, state: str, started_at: datetime | None = None, **columns: Any
) -> bool:
    """Record how a run ended, unless it has ended; with `started_at`, only of that start."""
    try:
        ended = ENDS[State(state)].apply(
            endable(run_id, started_at=started_at),
            **{"reason": "", **columns},
            finished_at=at,
            lease_until=None,
            is_buffered=False,
        )
    except ValidationError:  # not the id of a run
        return False
    return ended == 1


def expire_unstarted(run_ids: Collection[UUID], *, at: datetime, reason: str) -> int:
    """End runs whose message has expired before a worker started it; return how many.

    A worker that takes such a message at the same moment drops it, or this changes nothing.
    """
    columns = {"finished_at": at, "lease_until": None, "is_buffered": False}
    unstarted = Run.objects.filter(~UNRECORDED_START, pk__in=run_ids, expires_at__lt=at)
    return EXPIRE_UNSTARTED.apply(unstarted, reason=reason, **columns)


def endable(run_id: str, *, started_at: datetime | None) -> QuerySet[Run]:
    """Select a run if it may end; by the report on a certain start, also one marked `lost`."""
    run = Run.objects.filter(pk=run_id)
    if started_at is None:
        return run.filter(state__in=Run.ACTIVE)
    return run.filter(started_at=started_at, state__in=(*Run.ACTIVE, State.LOST))


def end_locked(runs: Sequence[Run], *, state: str, at: datetime, columns: Collection[str]) -> int:
    """End locked runs that failed or were lost, each with its own values in `columns`."""
    for run in runs:
        run.finished_at, run.lease_until, run.is_buffered = at, None, False
    written = {"finished_at", "lease_until", "is_buffered", *columns}
    return ENDS[State(state)].apply_each(runs, written)


def retry_locked(runs: Sequence[Run], *, columns: Collection[str]) -> int:
    """Make locked runs start again, each with its own values in `columns`."""
    for run in runs:
        run.started_at = run.queued_at = run.finished_at = run.lease_until = None
        run.is_buffered = False
    written = {"started_at", "queued_at", "finished_at", "lease_until", "is_buffered", *columns}
    return RETRY.apply_each(runs, written)


# --- Cancel -------------------------------------------------------------------------------------


def cancel(run_id: str | UUID, *, at: datetime, reason: str) -> bool:
    """Cancel a run that has not started."""
    run = Run.objects.filter(pk=run_id)
    columns = {"finished_at": at, "lease_until": None, "is_buffered": False}
    return CANCEL.apply(run, reason=reason, **columns) == 1


def request_cancel(run_id: str | UUID, *, reason: str) -> bool:
    """Ask the worker of a running run to end its process; see `terminate_requested`."""
    running = Run.objects.filter(pk=run_id, state=State.RUNNING)
    return running.update(is_cancel_requested=True, reason=reason) == 1


def terminate_requested(run_ids: Iterable[str], *, at: datetime) -> bool:
    """End the runs of a process that a caller cancelled; return whether any is cancelled."""
    ids = list(run_ids)
    requested = Run.objects.filter(pk__in=ids, is_cancel_requested=True)
    TERMINATE.apply(requested, reason=TERMINATED, finished_at=at, lease_until=None)
    return Run.objects.filter(pk__in=ids, state=State.CANCELLED).exists()


def replace(run_ids: Collection[str], *, at: datetime, reason: str) -> int:
    """Cancel runs that the next run of their periodic task replaces; return how many."""
    runs = Run.objects.filter(pk__in=run_ids)
    columns = {"finished_at": at, "lease_until": None, "is_buffered": False}
    return REPLACE.apply(runs, reason=reason, **columns)
