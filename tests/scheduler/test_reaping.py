"""Runs that no worker reports on any more."""

import json
from typing import Any

import pytest
from django_celery_beat.models import PeriodicTask

from scheduler_api.catalogue.models import TaskSpec
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs.events import RunEvent
from scheduler_api.runs.models import LEASE, Run
from scheduler_api.scheduler import reaping
from tests.api.periodic_tasks.examples import stored
from tests.api.runs.examples import entered
from tests.scheduler.engines import HOUR, NOON, SECOND, TestedEngine

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
LONGER = LEASE + SECOND


@pytest.fixture
def beat(time_machine: Any) -> TestedEngine:
    time_machine.move_to(NOON, tick=False)
    engine = TestedEngine()
    engine.run()  # the first reap waits, so that workers can renew their leases
    return engine


def queued(**columns: Any) -> Run:
    return entered(**{"state": "queued", "queued_at": NOON, **columns})


def running(**columns: Any) -> Run:
    return queued(
        **{
            "state": "running",
            "started_at": NOON,
            "lease_until": NOON + LEASE,
            "attempts": 1,
            **columns,
        }
    )


def test_run_with_an_alive_worker_continues(beat):
    run = running()

    beat.run(at=NOON + LEASE - SECOND)

    run.refresh_from_db()
    assert run.state == "running"


def test_run_with_an_expired_lease_is_lost(beat):
    run = running()

    beat.run(at=NOON + LONGER)

    run.refresh_from_db()
    assert (run.state, run.reason) == ("lost", reaping.WORKER_SILENT)
    assert (run.finished_at, run.lease_until) == (NOON + LONGER, None)
    assert beat.publisher.sent == []


def test_lost_run_with_attempts_left_is_retried(beat):
    run = running(periodic_task_id=may_start(2))

    beat.run(at=NOON + LONGER)
    run.refresh_from_db()
    assert (run.state, run.started_at, run.finished_at) == ("pending", None, None)
    assert run.reason == f"Attempt 1 of 2: {reaping.WORKER_SILENT[:-1]}. It starts again."
    assert beat.publisher.sent == []

    beat.run(at=NOON + LONGER + 13 * SECOND)  # 10 seconds, and up to a quarter more
    assert [sent.id for sent in beat.publisher.sent] == [str(run.pk)]
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("queued", 1)


def test_lost_run_without_attempts_left_is_lost(beat):
    run = running(periodic_task_id=may_start(3), attempts=3)

    beat.run(at=NOON + LONGER)

    run.refresh_from_db()
    assert run.state == "lost"
    assert beat.publisher.sent == []


def test_lost_run_with_a_cancel_request_is_not_retried(beat):
    run = running(periodic_task_id=may_start(3), is_cancel_requested=True)

    beat.run(at=NOON + LONGER)

    run.refresh_from_db()
    assert run.state == "lost"


def may_start(times: int) -> int:
    task = stored(name="again", enabled=False)
    ManagedTask.objects.create(periodic_task=task, max_attempts=times)
    return int(task.pk)


def test_retry_that_never_starts_is_lost(beat):
    run = running(state="queued", lease_until=NOON + 2 * HOUR)

    beat.run(at=NOON + 2 * HOUR)
    run.refresh_from_db()
    assert run.state == "queued"

    beat.run(at=NOON + 2 * HOUR + 10 * SECOND)
    run.refresh_from_db()
    assert (run.state, run.reason) == ("lost", reaping.RETRY_NOT_STARTED)


def test_unreported_run_is_lost_after_its_maximum_runtime(beat):
    impatient = stored(name="impatient", enabled=False)
    ManagedTask.objects.create(periodic_task=impatient, max_runtime_seconds=120)
    soon = queued(periodic_task_id=impatient.pk)
    late = queued()
    waiting = queued(state="pending", queued_at=None)

    beat.run(at=NOON + 120 * SECOND)
    assert states(soon, late, waiting) == ["queued", "queued", "pending"]
    beat.run(at=NOON + 130 * SECOND)
    assert states(soon, late, waiting) == ["lost", "queued", "pending"]
    beat.run(at=NOON + HOUR + 10 * SECOND)
    assert states(soon, late, waiting) == ["lost", "lost", "pending"]
    events = RunEvent.objects.filter(kind="run.lost").order_by("pk")
    assert [event.run_id for event in events] == [soon.pk, late.pk]


def test_unreported_run_is_retried_up_to_its_attempts(beat):
    run = queued(periodic_task_id=may_start(2))

    beat.run(at=NOON + HOUR + 10 * SECOND)
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("pending", 1)
    assert run.reason == f"Attempt 1 of 2: {reaping.NOT_REPORTED[:-1]}. It starts again."

    beat.run(at=NOON + HOUR + 30 * SECOND)
    assert [sent.id for sent in beat.publisher.sent] == [str(run.pk)]
    beat.run(at=NOON + 2 * HOUR + 50 * SECOND)
    run.refresh_from_db()
    assert (run.state, run.attempts, run.reason) == ("lost", 1, reaping.NOT_REPORTED)


def states(*runs: Run) -> list[str]:
    return [Run.objects.get(pk=run.pk).state for run in runs]


def test_started_beat_gives_workers_time_to_renew_leases(time_machine):
    time_machine.move_to(NOON, tick=False)
    run = running(lease_until=NOON - HOUR)
    beat = TestedEngine()

    beat.run()
    beat.run(at=NOON + 29 * SECOND)
    run.refresh_from_db()
    assert run.state == "running"

    beat.run(at=NOON + 30 * SECOND)
    run.refresh_from_db()
    assert run.state == "lost"


def test_lost_run_releases_the_buffered_run(beat):
    task = stored(name="one at a time")  # every 30 seconds
    ManagedTask.objects.create(periodic_task=task, overlap="skip")
    beat.run()
    running(periodic_task_id=task.pk)

    assert beat.run(at=NOON + 30 * SECOND) == []
    beat.run(at=NOON + LONGER)
    assert beat.run(at=NOON + 90 * SECOND) == [("one at a time", NOON + 90 * SECOND)]


# --- Expired messages -------------------------------------------------------------------------


def with_life(seconds: float, **columns: Any) -> Run:
    expires_at = NOON + seconds * SECOND
    return queued(**{"expires_at": expires_at, **columns})


@pytest.mark.parametrize("trigger", Run.Trigger.values)
@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({}, reaping.EXPIRED),
        ({"state": "pending", "queued_at": None}, reaping.EXPIRED_UNSENT),
    ],
)
def test_run_with_an_expired_message_is_expired_within_seconds(beat, trigger, columns, reason):
    run = with_life(30, trigger=trigger, **columns)

    beat.run(at=NOON + 30 * SECOND)
    assert states(run) == [columns.get("state", "queued")]

    beat.run(at=NOON + 32 * SECOND)
    run.refresh_from_db()
    assert (run.state, run.reason) == ("expired", reason)
    assert (run.finished_at, run.attempts) == (NOON + 32 * SECOND, 0)


def test_buffered_run_with_an_expired_message_is_expired_within_seconds(beat):
    running(lease_until=NOON + HOUR)
    run = with_life(30, state="pending", queued_at=None, is_buffered=True)

    beat.run(at=NOON + 30 * SECOND)
    assert states(run) == ["pending"]

    beat.run(at=NOON + 32 * SECOND)
    run.refresh_from_db()
    assert (run.state, run.reason) == ("expired", reaping.EXPIRED_UNSENT)
    assert not run.is_buffered


@pytest.mark.parametrize(
    "columns",
    [
        {"state": "running", "started_at": NOON, "lease_until": NOON + HOUR},
        # A worker started it while the ledger did not answer.
        {"lease_until": NOON + HOUR},
        {"state": "succeeded", "started_at": NOON},
        {"state": "cancelled"},
        {"state": "lost"},
    ],
)
def test_run_that_has_started_or_ended_does_not_expire(beat, columns):
    run = with_life(3, **columns)

    beat.run(at=NOON + 40 * SECOND)

    assert states(run) == [columns.get("state", "queued")]


def test_run_that_waits_for_a_retry_expires_with_its_message(beat):
    run = with_life(30, started_at=NOON, lease_until=NOON + HOUR, attempts=1)

    beat.run(at=NOON + 32 * SECOND)

    run.refresh_from_db()
    assert (run.state, run.reason, run.lease_until) == ("expired", reaping.EXPIRED, None)


@pytest.mark.parametrize(("is_recorded", "state"), [(True, "expired"), (False, "queued")])
def test_run_of_a_task_with_unrecorded_starts_does_not_expire(beat, is_recorded, state):
    run = with_life(3)
    TaskSpec.objects.create(name=run.task, is_recorded=is_recorded, last_seen_at=NOON)

    beat.run(at=NOON + 40 * SECOND)

    assert states(run) == [state]


@pytest.mark.parametrize("overlap", ["skip", "buffer_one"])
def test_expired_message_blocks_no_slot(beat, overlap):
    task = stored(name="one at a time", expire_seconds=3)  # every 30 seconds
    ManagedTask.objects.create(periodic_task=task, overlap=overlap)

    for number in range(1, 5):  # no worker takes any of the messages
        slot_at = NOON + number * 30 * SECOND
        assert beat.run(at=slot_at) == [("one at a time", slot_at)]
        beat.run(at=slot_at + 4 * SECOND)

    assert [*Run.objects.values_list("state", flat=True)] == ["expired"] * 4


def test_many_expired_messages_are_ended_in_batches(beat, monkeypatch):
    monkeypatch.setattr(reaping, "REAP_BATCH_SIZE", 2)
    runs = [with_life(3) for _ in range(5)]

    beat.run(at=NOON + 40 * SECOND)

    assert states(*runs) == ["expired"] * 5


def test_started_beat_gives_workers_time_to_record_starts_before_it_expires_runs(time_machine):
    time_machine.move_to(NOON, tick=False)
    run = with_life(-10)
    beat = TestedEngine()

    beat.run()
    beat.run(at=NOON + 4 * SECOND)
    assert states(run) == ["queued"]

    beat.run(at=NOON + 5 * SECOND)
    assert states(run) == ["expired"]


def test_next_attempt_has_a_message_with_a_life_of_its_own(beat):
    task_id = may_start(2)
    PeriodicTask.objects.filter(pk=task_id).update(expire_seconds=20)
    run = running(
        periodic_task_id=task_id,
        expires_at=NOON + 20 * SECOND,
        options='{"queue": "celery", "expires": "2027-06-01T12:00:20+00:00"}',
    )

    beat.run(at=NOON + LONGER)
    beat.run(at=NOON + LONGER + 13 * SECOND)

    run.refresh_from_db()
    assert run.state == "queued"
    assert run.expires_at > NOON + LONGER + 30 * SECOND
    [sent] = beat.publisher.sent
    assert json.loads(sent.options) == {"queue": "celery", "expires": run.expires_at.isoformat()}
