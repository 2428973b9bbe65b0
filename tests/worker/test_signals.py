"""Records of runs in a worker: each test delivers a message, as Celery does."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.exceptions import Ignore, Reject

from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs import transitions
from scheduler_api.runs.models import LEASE, Run
from scheduler_api.worker import signals
from tests.api.periodic_tasks.examples import stored
from tests.api.runs.examples import NOON
from tests.worker.runs import run, stored_run

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

HALF = LEASE / 2
GONE = {"lease_until": datetime.now(UTC) - timedelta(minutes=10), "attempts": 1}


# --- Starts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["pending", "queued"])
def test_second_message_of_a_run_is_dropped(deliver, body, state):
    run_id = run(state=state)

    assert deliver(run_id) == "SUCCESS"
    assert deliver(run_id) == "IGNORED"

    assert body.started == [run_id]
    assert stored_run().attempts == 1


@pytest.mark.parametrize("is_on", [True, False])
def test_run_is_recorded_by_the_orm_only_without_fast_paths(deliver, settings, monkeypatch, is_on):
    settings.FAST_PATHS = is_on
    by_orm: list[object] = []
    for name in ("first_start", "succeed"):
        move = getattr(transitions, name)
        monkeypatch.setattr(
            transitions, name, lambda *a, _move=move, **k: by_orm.append(1) or _move(*a, **k)
        )

    assert deliver(run()) == "SUCCESS"

    assert stored_run().state == "succeeded"
    assert len(by_orm) == (0 if is_on else 2)


def test_running_run_has_a_lease_and_ignores_a_second_message(deliver, body):
    run_id = run()
    seen = []

    def look(task: Any) -> None:
        seen.append(stored_run())
        body.does = lambda *_: None
        assert deliver(run_id) == "IGNORED"
        assert stored_run().state == "running"

    body.does = look
    deliver(run_id)

    [running] = seen
    assert (running.state, running.worker, running.attempts) == ("running", "celery@here", 1)
    assert timedelta(0) <= running.lease_until - running.started_at - LEASE < HALF
    assert stored_run().state == "succeeded"


@pytest.mark.parametrize("state", ["cancelled", "unroutable", "expired", "succeeded"])
def test_message_of_an_ended_run_is_dropped(deliver, body, state):
    assert deliver(run(state=state)) == "IGNORED"
    assert body.started == []


def test_lost_run_that_never_started_starts(deliver, body):
    assert deliver(run(state="lost", reason="No worker has reported on it.")) == "SUCCESS"

    assert (stored_run().state, stored_run().reason) == ("succeeded", "")


def test_lost_run_that_had_started_does_not_start_again(deliver, body):
    assert deliver(run(state="lost", started_at=NOON)) == "IGNORED"
    assert body.started == []


@pytest.mark.parametrize(
    "run_id", ["889b2d80-7191-435c-92eb-809ea794cdd2", "an-id-of-somebody-else"]
)
def test_message_of_an_unknown_run_is_executed(deliver, body, run_id):
    assert deliver(run_id) == "SUCCESS"
    assert body.started == [run_id]


def test_message_of_another_sender_is_not_recorded(deliver, body):
    run_id = run(state="cancelled")

    assert deliver(run_id, periodic_task_name=None) == "SUCCESS"

    assert body.started == [run_id]
    assert stored_run().state == "cancelled"


def test_run_without_the_database_starts_and_records_its_end_later(
    deliver, body, recorder, caplog
):
    run_id = run()
    recorder.is_away = True

    assert deliver(run_id) == "SUCCESS"

    assert body.started == [run_id]
    assert "without recording it: gone" in caplog.text
    assert stored_run().state == "queued"
    unseen, end = recorder.kept
    assert unseen()
    assert (stored_run().state, stored_run().started_at) == ("queued", None)
    assert stored_run().lease_until > datetime.now(UTC)
    assert end()
    assert not unseen()
    assert (stored_run().state, stored_run().lease_until) == ("succeeded", None)


# --- Ends -------------------------------------------------------------------------------------


def test_result_is_recorded_without_secrets(deliver, body):
    body.does = lambda task, x: {"sum": x + 2, "at": NOON, "api_token": "seen by nobody"}

    deliver(run(), 40)

    ended = stored_run()
    assert ended.state == "succeeded"
    assert ended.result == '{"sum": 42, "at": "2027-06-01T12:00:00Z", "api_token": "***"}'
    assert not ended.is_result_truncated
    assert ended.finished_at >= ended.started_at
    assert ended.lease_until is None


def test_exception_is_recorded_without_secrets_of_the_arguments(deliver, body):
    def fail(task: Any, *, password: str) -> None:
        raise ValueError(f"wrong: {password}")

    body.does = fail
    assert deliver(run(), kwargs={"password": "hush-hush"}) == "FAILURE"

    ended = stored_run()
    assert (ended.state, ended.error_type, ended.error_message) == (
        "failed",
        "ValueError",
        "wrong: ***",
    )
    assert "in fail" in ended.traceback
    assert "hush-hush" not in ended.traceback


def test_arguments_that_do_not_fit_fail_the_run(deliver, body):
    body.does = lambda task: None

    assert deliver(run(), "one too many") == "FAILURE"

    assert stored_run().error_type == "TypeError"


def test_celery_retry_is_another_attempt_of_the_run(deliver, body, monkeypatch):
    sent = []
    run_id = run()

    def fail_once(task: Any) -> str:
        if not task.request.retries:
            monkeypatch.setattr(
                type(task), "apply_async", lambda _, *__, **options: sent.append(options)
            )
            raise task.retry(exc=ValueError("not yet"), countdown=7200)
        return "at last"

    body.does = fail_once
    assert deliver(run_id) == "RETRY"

    waiting = stored_run()
    assert (waiting.state, waiting.attempts) == ("queued", 1)
    assert waiting.reason == "Waiting for a retry: ValueError: not yet"
    assert waiting.lease_until > datetime.now(UTC) + timedelta(hours=2)
    [options] = sent
    assert options["task_id"] == run_id
    assert options["headers"]["periodic_task_name"] == "Heartbeat", "it would not be ours"

    assert deliver(run_id) == "IGNORED", "the message that was sent before comes again"
    assert deliver(run_id, retries=1) == "SUCCESS"
    assert (stored_run().state, stored_run().attempts) == ("succeeded", 2)
    assert (stored_run().result, stored_run().reason) == ('"at last"', "")


def test_task_that_raises_ignore_succeeds(deliver, body):
    def ignore(task: Any) -> None:
        raise Ignore

    body.does = ignore
    assert deliver(run()) == "IGNORED"

    assert (stored_run().state, stored_run().reason) == ("succeeded", signals.IGNORED)


def test_task_that_raises_reject_is_another_attempt(deliver, body):
    def put_back(task: Any) -> None:
        raise Reject("busy", requeue=True)

    run_id = run()
    body.does = put_back
    assert deliver(run_id) == "REJECTED"
    assert stored_run().state == "queued"

    body.does = lambda task: None
    assert deliver(run_id, delivery_info={"redelivered": True}) == "SUCCESS"
    assert (stored_run().state, stored_run().attempts) == ("succeeded", 2)


def test_end_of_an_earlier_start_is_not_recorded(recorder):
    run_id = run(state="running", started_at=NOON)

    earlier = NOON - timedelta(minutes=1)
    assert not transitions.end(run_id, at=NOON, state="failed", started_at=earlier)

    assert stored_run().state == "running"


def test_lost_run_that_ends_is_recorded(deliver, body):
    body.does = lambda task: Run.objects.update(state="lost", lease_until=None)

    deliver(run())

    assert stored_run().state == "succeeded"


@pytest.mark.parametrize(
    ("columns", "is_ended"),
    [
        ({"state": "running", "is_cancel_requested": True}, True),
        ({"state": "cancelled", "reason": "The next run replaced it."}, True),
        ({"state": "running"}, False),
        ({"state": "succeeded"}, False),
    ],
)
def test_cancelled_run_is_ended(recorder, columns, is_ended):
    run_id = run(started_at=NOON, lease_until=NOON, **columns)

    assert transitions.terminate_requested([run_id], at=NOON) is is_ended

    reason = (
        transitions.TERMINATED if "is_cancel_requested" in columns else columns.get("reason", "")
    )
    state = "cancelled" if is_ended else columns["state"]
    assert (stored_run().state, stored_run().reason) == (state, reason)


def test_run_cancelled_while_it_runs_stays_cancelled(deliver, body):
    body.does = lambda task: Run.objects.update(state="cancelled")

    deliver(run())

    assert stored_run().state == "cancelled"


# --- What the broker delivers again -----------------------------------------------------------


def again(deliver: Any, run_id: str) -> str:
    return str(deliver(run_id, delivery_info={"redelivered": True}))


def test_redelivered_message_of_an_unstarted_run_starts_it(deliver, body):
    assert again(deliver, run()) == "SUCCESS"
    assert stored_run().attempts == 1


def test_redelivered_run_with_a_lease_does_not_start_again(deliver, body):
    lease = datetime.now(UTC) + timedelta(seconds=30)
    run_id = run(state="running", started_at=NOON, lease_until=lease, attempts=1)

    assert again(deliver, run_id) == "IGNORED"

    assert body.started == []
    assert stored_run().state == "running"


def test_redelivered_run_with_an_expired_lease_starts_again(deliver, body):
    task = may_start(2)
    run_id = run(periodic_task_id=task, state="running", started_at=NOON, **GONE)

    assert again(deliver, run_id) == "SUCCESS"

    assert (stored_run().state, stored_run().attempts) == ("succeeded", 2)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_redelivered_run_starts_at_most_max_attempts_times(deliver, body, most):
    columns = {"state": "running", "started_at": NOON, **GONE, "attempts": most}
    run_id = run(periodic_task_id=may_start(most), **columns)

    assert again(deliver, run_id) == "IGNORED"

    assert body.started == []
    assert stored_run().state == "running", "beat ends it, when it finds that its lease is over"


def may_start(times: int) -> int:
    task = stored(name="again")
    ManagedTask.objects.create(periodic_task=task, max_attempts=times)
    return int(task.pk)
