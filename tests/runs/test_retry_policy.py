"""What becomes of a run that has failed or was lost."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from django_celery_beat.models import PeriodicTask

from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs import retry_policy, transitions
from scheduler_api.runs.events import FailureStreak, RunEvent, forget
from scheduler_api.runs.models import LEASE, Run
from scheduler_api.runs.outbox import Outbox
from tests.api.periodic_tasks.examples import stored
from tests.api.runs.examples import NOON, entered

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)
ERROR = {"error_type": "ValueError", "error_message": "no", "traceback": "in line 1"}


def task(**policies: Any) -> PeriodicTask:
    row = stored(name="import")
    ManagedTask.objects.create(periodic_task=row, **policies)
    return row


def running(periodic_task: PeriodicTask | None = None, **columns: Any) -> str:
    values = {
        "periodic_task_id": periodic_task.pk if periodic_task else 7,
        "queued_at": NOON,
        "started_at": NOON,
        "lease_until": NOON + LEASE,
        "state": "running",
        "attempts": 1,
    }
    return str(entered(**{**values, **columns}).pk)


def fail(run_id: str, *, state: str = "failed", at: datetime = NOON, **columns: Any) -> bool:
    return retry_policy.fail(run_id, at=at, state=state, **{"reason": "", **ERROR, **columns})


def succeed(run_id: str) -> bool:
    result = {"result": "1", "is_result_truncated": False}
    return retry_policy.recover(run_id, at=NOON, started_at=NOON, **result)


def recorded_events() -> list[tuple[str, str]]:
    events = RunEvent.objects.order_by("pk").values_list("kind", "run_id")
    return [(kind, str(run_id)) for kind, run_id in events]


# --- Attempts ---------------------------------------------------------------------------------


def test_failed_run_without_attempts_left_ends():
    run_id = running()

    assert fail(run_id)

    run = Run.objects.get()
    assert (run.state, run.finished_at, run.lease_until) == ("failed", NOON, None)
    assert (run.error_type, run.error_message, run.traceback) == ("ValueError", "no", "in line 1")
    assert not Outbox.objects.exists()
    assert recorded_events() == [("run.failed", run_id)]


@pytest.mark.parametrize(
    ("before", "max_attempts", "state", "attempts"),
    [(0, 1, "lost", 0), (0, 2, "pending", 1), (1, 2, "lost", 1), (1, 3, "pending", 2)],
)
def test_unreported_start_of_a_lost_run_counts_as_an_attempt(
    before, max_attempts, state, attempts
):
    waiting = {"state": "queued", "started_at": None, "lease_until": None}
    run_id = running(task(max_attempts=max_attempts), attempts=before, **waiting)

    assert fail(run_id, state="lost")

    run = Run.objects.get()
    assert (run.state, run.attempts, run.started_at) == (state, attempts, None)


@pytest.mark.parametrize("state", ["failed", "lost"])
def test_run_with_attempts_left_starts_again(state):
    run_id = running(task(max_attempts=3, retry_backoff_seconds=60), attempts=2)

    assert fail(run_id, state=state)

    run, batch = Run.objects.get(), Outbox.objects.get()
    assert (run.state, run.attempts, run.ended_as) == ("pending", 2, None)
    assert (run.started_at, run.queued_at, run.finished_at, run.lease_until) == (None,) * 4
    assert run.reason == "Attempt 2 of 3: ValueError: no. It starts again."
    assert run.error_type == "ValueError"
    assert batch.run_ids == [run_id]
    assert 120 * SECOND <= batch.retry_at - NOON <= 150 * SECOND
    assert recorded_events() == []


def test_retried_run_that_succeeds_has_no_error():
    run_id = running(task(max_attempts=2))
    fail(run_id)

    later = NOON + SECOND
    assert transitions.start(run_id, at=later, worker="celery@here") == (True, False)
    assert transitions.succeed(
        run_id, at=later, started_at=later, result="1", is_result_truncated=False
    )

    run = Run.objects.get()
    assert (run.state, run.attempts, run.reason, run.error_type) == ("succeeded", 2, "", "")


@pytest.mark.parametrize(
    "columns",
    [
        {"attempts": 3},  # as often as it may
        {"is_cancel_requested": True},  # somebody has cancelled it
        {"attempts": 0, "state": "queued", "started_at": None},  # no worker could start it
    ],
)
def test_run_that_must_not_start_again_ends(columns):
    run_id = running(task(max_attempts=3), **columns)

    assert fail(run_id)

    assert Run.objects.get().state == "failed"
    assert not Outbox.objects.exists()


@pytest.mark.parametrize("state", ["succeeded", "cancelled", "failed"])
def test_ended_run_does_not_fail(state):
    run_id = running(task(max_attempts=3), state=state)

    assert not fail(run_id)
    assert not fail(run_id, started_at=NOON)
    assert not fail("an-id-of-somebody-else")

    assert Run.objects.get().state == state
    assert recorded_events() == []


def test_lost_run_that_fails_later_has_one_event():
    run_id = running(state="lost")

    assert fail(run_id, started_at=NOON)

    assert Run.objects.get().state == "failed"
    assert recorded_events() == []


def test_retry_delay_doubles_up_to_six_hours_and_a_quarter():
    waits = [retry_policy.retry_delay(n, seconds=10, rng=random.Random(1)) for n in (1, 2, 3, 100)]

    factor = waits[0] / timedelta(seconds=10)
    assert 1 <= factor <= 1.25
    seconds = [wait.total_seconds() / factor for wait in waits]
    assert seconds == pytest.approx([10, 20, 40, 6 * 60 * 60])


def test_retry_delays_of_runs_that_failed_together_differ():
    waits = {retry_policy.retry_delay(1, seconds=10, rng=random.Random(n)) for n in range(20)}

    assert len(waits) == 20


# --- Streaks ----------------------------------------------------------------------------------


def test_task_is_paused_after_failures_in_a_row():
    periodic_task = task(pause_after_failures=2)
    first, second = running(periodic_task), running(periodic_task)

    fail(first)
    assert PeriodicTask.objects.get().enabled

    fail(second, state="lost", at=NOON + SECOND)
    paused = PeriodicTask.objects.get()
    assert not paused.enabled
    assert (paused.managed.paused_at, paused.managed.paused_until) == (NOON + SECOND, None)
    assert paused.managed.enabled_on_resume
    assert paused.managed.pause_note == "2 runs in a row have failed or were lost."
    assert recorded_events() == [
        ("run.failed", first),
        ("run.lost", second),
        ("periodic_task.paused", second),
    ]


def test_success_resets_the_failures_in_a_row():
    periodic_task = task(pause_after_failures=2)
    first, second, third = (running(periodic_task) for _ in range(3))

    fail(first)
    assert transitions.start(
        running(periodic_task, state="queued", started_at=None), **NOW
    ).is_failing
    assert succeed(second)
    assert not FailureStreak.objects.exists()
    fail(third)

    assert PeriodicTask.objects.get().enabled
    assert recorded_events() == [
        ("run.failed", first),
        ("run.recovered", second),
        ("run.failed", third),
    ]


NOW = {"at": NOON, "worker": "celery@here"}


def test_resumed_task_counts_its_failures_anew():
    periodic_task = task(pause_after_failures=2)
    fail(running(periodic_task))
    fail(running(periodic_task))
    PeriodicTask.objects.update(enabled=True)

    fail(running(periodic_task))
    assert PeriodicTask.objects.get().enabled

    fail(running(periodic_task))
    assert not PeriodicTask.objects.get().enabled


def test_paused_task_keeps_its_pause():
    periodic_task = task(pause_after_failures=1, pause_note="by hand")
    PeriodicTask.objects.update(enabled=False)

    fail(running(periodic_task))

    assert ManagedTask.objects.get().pause_note == "by hand"
    assert [kind for kind, _ in recorded_events()] == ["run.failed"]


def test_recovery_is_recorded_once():
    periodic_task = task()
    fail(running(periodic_task))
    first, second = running(periodic_task), running(periodic_task)

    assert succeed(first)
    assert succeed(second)
    assert not succeed(second)

    assert [kind for kind, _ in recorded_events()] == ["run.failed", "run.recovered"]


def test_old_events_are_deleted():
    fail(running())

    forget(at=NOON + timedelta(days=3))
    assert RunEvent.objects.count() == 1
    forget(at=NOON + timedelta(days=3, seconds=1))
    assert not RunEvent.objects.exists()
