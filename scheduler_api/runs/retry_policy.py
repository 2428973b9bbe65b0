"""The policy for a run that failed or was lost: another attempt, or its end.

An end is recorded as an event, and counts towards the automatic pause of its periodic task.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from scheduler_api.backoff import backoff
from scheduler_api.periodic_tasks.actions import pause_by_policy
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs import transitions
from scheduler_api.runs.events import FailureStreak, RunEvent, record_event
from scheduler_api.runs.message_options import expiry_of_task, with_expiry
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import enqueue

State = Run.State
Kind = RunEvent.Kind

LONGEST_DELAY = timedelta(hours=6)
# The share of a delay by which it may be longer: runs that failed together come back apart.
JITTER = 0.25
KINDS = {State.FAILED: Kind.FAILED, State.LOST: Kind.LOST}
# The policies of a periodic task that has no managed settings.
# No periodic task has this id.
NO_TASK = 0
DEFAULTS = ManagedTask()
ADD_FAILURES = """
INSERT INTO scheduler_api_failurestreak AS streak (periodic_task_id, failures, first_failed_at)
VALUES (%s, %s, %s)
ON CONFLICT (periodic_task_id) DO UPDATE SET failures = streak.failures + excluded.failures
RETURNING failures
"""


@transaction.atomic
def fail(
    run_id: str, *, at: datetime, state: str, started_at: datetime | None = None, **columns: Any
) -> bool:
    """Record that a run failed or was lost, unless it has ended: it starts again, or ends.

    With `started_at`, only of that start. Return whether it moved.
    """
    try:
        run = transitions.endable(run_id, started_at=started_at).select_for_update().first()
    except ValidationError:  # not the id of a run
        return False
    if run is None:
        return False
    if state == State.LOST and run.state == State.PENDING and run.attempts:
        return False  # the process ended after its report, and the next attempt waits
    if run.state == State.LOST:  # an event says so already; now its real end is known
        return transitions.end(run_id, at=at, state=state, started_at=started_at, **columns)
    for name, value in columns.items():
        setattr(run, name, value)
    give_up([run], at=at, state=state, columns=columns)
    return True


def give_up(
    runs: Sequence[Run], *, at: datetime, state: str, columns: Mapping[str, Any] | None = None
) -> bool:
    """End locked runs, or start them again if they have attempts left; return whether any has.

    `columns` names the changed columns; each run has its own `reason`.
    """
    policies = ManagedTask.objects.in_bulk({*periodic_tasks_of(runs)})
    again: list[Run] = []
    ended: list[Run] = []
    for run in runs:
        policy = policies.get(run.periodic_task_id or NO_TASK, DEFAULTS)
        may_start = (
            0 < attempts_of(run, state) < policy.max_attempts and not run.is_cancel_requested
        )
        (again if may_start else ended).append(run)
    for run in again:
        run.attempts = attempts_of(run, state)
        prepare_retry(run, policies.get(run.periodic_task_id or NO_TASK, DEFAULTS), at=at)
    changed = {"reason", *(columns or ())}
    if ended:
        transitions.end_locked(ended, state=state, at=at, columns=changed)
        record_failures(ended, policies, at=at, kind=KINDS[State(state)])
    if again:
        again_columns = {"attempts", "options", "expires_at", *changed}
        transitions.retry_locked(again, columns=again_columns)
    return bool(again)


def periodic_tasks_of(runs: Iterable[Run]) -> Iterator[int]:
    """Yield the id of the periodic task of each run that has one."""
    return (run.periodic_task_id for run in runs if run.periodic_task_id is not None)


def attempts_of(run: Run, state: str) -> int:
    """Return the number of starts of a run, an unreported one included.

    A process that was killed before it recorded the start may have taken a missing message. That
    counts as a start: a message that only waits in a long queue must not be sent for ever.
    """
    return run.attempts + (state == State.LOST and run.started_at is None)


def prepare_retry(run: Run, policy: ManagedTask, *, at: datetime) -> None:
    """Prepare the next attempt of a run in memory, and add it to the outbox."""
    rng = random.Random(f"{run.pk}")  # noqa: S311 - no secret
    wait = retry_delay(run.attempts, seconds=policy.retry_backoff_seconds, rng=rng)
    cause = (run.reason or f"{run.error_type}: {run.error_message}").rstrip(".")
    run.reason = (
        f"Attempt {run.attempts} of {policy.max_attempts}: {cause[:1000]}. It starts again."
    )
    if run.expires_at is not None:  # that of the first message
        run.expires_at = expiry_of_task(run.periodic_task_id, now=at + wait)
        run.options = with_expiry(run.options, run.expires_at)
    enqueue([str(run.pk)], now=at, retry_at=at + wait)


def retry_delay(attempts: int, *, seconds: float, rng: random.Random) -> timedelta:
    """Return the wait before the next attempt: it doubles with each attempt, and is jittered."""
    first = timedelta(seconds=seconds)
    return backoff(attempts, first=first, longest=LONGEST_DELAY, jitter=JITTER, rng=rng)


# --- Streaks ----------------------------------------------------------------------------------


def record_failures(
    runs: Sequence[Run], policies: Mapping[int, ManagedTask], *, at: datetime, kind: RunEvent.Kind
) -> None:
    """Record events of failed or lost runs; pause periodic tasks that fail too often in a row."""
    record_event(kind, runs, at=at)
    latest = {run.periodic_task_id: run for run in runs}
    for task_id, more in Counter(periodic_tasks_of(runs)).items():
        failures = add_failures(task_id, more, at=at)
        limit = policies.get(task_id, DEFAULTS).pause_after_failures
        if limit and failures >= limit:
            pause(task_id, latest[task_id], failures, at=at)


def add_failures(periodic_task_id: int, more: int, *, at: datetime) -> int:
    """Add to the failures in a row of a periodic task, and return their number."""
    with connection.cursor() as cursor:
        first_failed_at = connection.ops.adapt_datetimefield_value(at)
        cursor.execute(ADD_FAILURES, [periodic_task_id, more, first_failed_at])
        [failures] = cursor.fetchone()
    return int(failures)


def pause(task_id: int, run: Run, failures: int, *, at: datetime) -> None:
    """Pause a periodic task after too many failures; after it resumes, the count starts at 0.

    `run` is the last of them.
    """
    why = f"{failures} runs in a row have failed or were lost."
    if pause_by_policy(task_id, reason=why, at=at):
        FailureStreak.objects.filter(pk=task_id).update(failures=0)
        record_event(Kind.PAUSED, [run], at=at)


@transaction.atomic
def recover(run_id: str, *, at: datetime, **values: Any) -> bool:
    """Record a success that ends failures in a row; see `transitions.succeed`."""
    if not transitions.succeed(run_id, at=at, **values):
        return False
    run = Run.objects.only("periodic_task_id", "owner_id").get(pk=run_id)
    ended, _ = FailureStreak.objects.filter(pk__in=periodic_tasks_of([run])).delete()
    if ended:
        record_event(Kind.RECOVERED, [run], at=at)
    return True
