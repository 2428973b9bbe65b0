"""Records of runs in a worker: each test delivers a message, as Celery does."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from billiard.exceptions import WorkerLostError
from celery import current_app
from celery import signals as celery_signals
from celery.app.task import Context
from celery.exceptions import BackendStoreError, Ignore, Reject, Retry, WorkerShutdown
from kombu.exceptions import OperationalError

from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs import transitions
from scheduler_api.runs.models import LEASE, Run
from scheduler_api.worker import redeliveries, signals, unreadable_messages
from tests.api.periodic_tasks.examples import stored
from tests.api.runs.examples import NOON
from tests.worker.conftest import OF_BEAT
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


@pytest.mark.parametrize(
    ("options", "expires_at"),
    [({}, NOON), ({"expires": NOON + LEASE}, NOON + LEASE), ({"expires": None}, None)],
)
def test_retry_expires_as_its_message_does(deliver, body, monkeypatch, options, expires_at):
    def retry(task: Any) -> None:
        monkeypatch.setattr(type(task), "apply_async", lambda *_, **__: None)
        raise task.retry(countdown=60, **options)

    body.does = retry
    deliver(run(expires_at=NOON), expires=NOON.isoformat())

    assert stored_run().expires_at == expires_at


def test_task_that_raises_ignore_succeeds(deliver, body):
    def ignore(task: Any) -> None:
        raise Ignore

    body.does = ignore
    assert deliver(run()) == "IGNORED"

    assert (stored_run().state, stored_run().reason) == ("succeeded", signals.IGNORED)


@pytest.mark.parametrize("redelivered", [True, False])  # only AMQP tells
def test_task_that_raises_reject_is_another_attempt(deliver, body, redelivered):
    def put_back(task: Any) -> None:
        task.acks_late = True
        raise Reject("busy", requeue=True)

    run_id = run()
    body.does = put_back
    assert deliver(run_id) == "REJECTED"
    assert stored_run().state == "queued"

    body.does = lambda task: None
    assert deliver(run_id, delivery_info={"redelivered": redelivered}) == "SUCCESS"
    assert (stored_run().state, stored_run().attempts) == ("succeeded", 2)


@pytest.mark.parametrize(("requeue", "acks_late"), [(False, True), (False, False), (True, False)])
def test_rejected_message_that_does_not_come_back_fails_the_run(deliver, body, requeue, acks_late):
    def reject(task: Any) -> None:
        task.acks_late = acks_late
        raise Reject("never mind", requeue=requeue)

    body.does = reject
    assert deliver(run()) == "REJECTED"

    ended = stored_run()
    assert (ended.state, ended.reason) == ("failed", redeliveries.NOT_REQUEUED)
    assert (ended.error_type, ended.error_message) == ("Reject", "never mind")


def test_retry_that_cannot_be_published_fails_the_run(deliver, body, monkeypatch):
    def retry(task: Any) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise OperationalError("no broker")

        monkeypatch.setattr(type(task), "apply_async", refuse)
        raise task.retry(countdown=1)

    body.does = retry
    deliver(run())

    ended = stored_run()
    assert (ended.state, ended.error_type) == ("failed", "OperationalError")
    assert ended.error_message == "no broker"


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), WorkerShutdown()]
)
def test_exception_that_passes_celery_by_fails_the_run(deliver, body, error):
    def leave(task: Any) -> None:
        raise error

    body.does = leave
    with pytest.raises(type(error)):
        deliver(run())

    ended = stored_run()
    assert (ended.state, ended.error_type) == ("failed", type(error).__name__)
    assert "in leave" in ended.traceback
    assert not signals.ongoing


def test_process_ended_by_a_signal_leaves_its_run_to_the_main_process(deliver, body, monkeypatch):
    def leave(task: Any) -> None:
        raise SystemExit

    body.does = leave
    monkeypatch.setattr(signals, "terminate_handler_fired", lambda: True)
    with pytest.raises(SystemExit):
        deliver(run())

    assert stored_run().state == "running"


@pytest.mark.filterwarnings("ignore:Exception raised outside body")
def test_result_that_the_backend_refuses_fails_the_run(deliver, body, monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise BackendStoreError("full")

    def store(task: Any) -> None:
        monkeypatch.setattr(task.backend, "mark_as_done", refuse)

    body.does = store
    deliver(run())

    assert (stored_run().state, stored_run().error_type) == ("failed", "BackendStoreError")
    assert not signals.ongoing


@pytest.mark.filterwarnings("ignore:Exception raised outside body")
def test_arguments_of_another_shape_fail_the_run(deliver):
    deliver(run(), kwargs=["no", "mapping"])

    assert (stored_run().state, stored_run().reason) == ("failed", unreadable_messages.UNREADABLE)
    assert stored_run().error_type == "InvalidTaskError"


def test_retry_that_comes_before_the_earlier_attempt_is_recorded_starts(
    deliver, body, monkeypatch
):
    run_id = run(state="running", started_at=NOON, attempts=1)
    waited: list[float] = []

    def requeue(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            transitions.requeue(run_id, started_at=NOON, until=NOON, reason="")

    monkeypatch.setattr(signals, "sleep", requeue)

    assert deliver(run_id, retries=1) == "SUCCESS"
    assert len(waited) == 2
    assert (stored_run().state, stored_run().attempts) == ("succeeded", 2)


@pytest.mark.parametrize("state", ["cancelled", "succeeded", "failed", "expired"])
def test_retry_of_an_ended_run_is_dropped_at_once(deliver, body, monkeypatch, state):
    monkeypatch.setattr(signals, "sleep", lambda _: pytest.fail("it waits"))

    assert deliver(run(state=state, started_at=NOON), retries=1) == "IGNORED"
    assert body.started == []


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


# --- Deliveries by the main process -----------------------------------------------------------


def test_run_whose_worker_lost_the_broker_starts_again(deliver, body):
    run_id = run(state="running", started_at=NOON, attempts=1)

    # As Request._announce_cancelled sends it.
    celery_signals.task_retry.send(sender=None, request=Context(id=run_id, **OF_BEAT), einfo=None)

    assert (stored_run().state, stored_run().reason) == ("queued", redeliveries.CONNECTION_LOST)
    assert deliver(run_id) == "SUCCESS"
    assert (stored_run().state, stored_run().attempts) == ("succeeded", 2)


def test_run_that_celery_retries_after_it_lost_the_process_starts_again(deliver, body):
    run_id = run(state="running", started_at=NOON, attempts=1)
    reason = Retry(exc=WorkerLostError("signal 9"), when=0)

    # As Request._retry_worker_lost sends it.
    celery_signals.task_retry.send(
        sender=None, request=Context(id=run_id, **OF_BEAT), reason=reason, einfo=None
    )

    assert stored_run().reason == "Waiting for a retry: WorkerLostError: signal 9"
    assert deliver(run_id, retries=1) == "SUCCESS"
    assert (stored_run().state, stored_run().attempts) == ("succeeded", 2)


def test_report_of_a_lost_process_after_its_own_changes_nothing(deliver, body):
    task_id = may_start(3)
    run_id = run(periodic_task_id=task_id)

    def leave(task: Any) -> None:
        raise SystemExit(3)

    body.does = leave
    with pytest.raises(SystemExit):
        deliver(run_id)
    waiting = stored_run()
    assert (waiting.state, waiting.attempts) == ("pending", 1)

    celery_signals.task_failure.send(
        sender=current_app.tasks["tests.noted"],
        task_id=run_id,
        exception=WorkerLostError("exitcode 3"),
        args=(),
        kwargs={},
        traceback=None,
        einfo=None,
    )

    assert (stored_run().state, stored_run().attempts) == ("pending", 1)
    assert stored_run().error_type == "SystemExit"
