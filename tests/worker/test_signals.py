"""What a worker makes of a run: each test lets it take a message, as Celery does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import current_app
from celery import signals as celery_signals
from celery.app.task import Context
from celery.app.trace import build_tracer
from celery.exceptions import Ignore, Reject
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs import transitions
from scheduler_api.runs.models import Run
from scheduler_api.worker import main_process, signals
from scheduler_api.worker.fork_lock import fork_lock
from tests.api.periodic_tasks.examples import stored
from tests.api.runs.examples import NOON, entered

pytestmark = pytest.mark.django_db

HALF = transitions.LEASE / 2
OF_BEAT = {"periodic_task_name": "Heartbeat"}
GONE = {"lease_until": datetime.now(UTC) - timedelta(minutes=10), "attempts": 1}


class Inline:
    """A recorder in the thread of the test, whose transaction is to be rolled back."""

    def __init__(self) -> None:
        self.kept: list[Callable[[], bool]] = []
        self.is_away = False

    def execute(self, job: Callable[[], bool]) -> bool:
        if self.is_away:
            raise OperationalError("gone")
        return job()

    def execute_directly(self, statement: Callable[[], bool | None]) -> bool | None:
        return None if self.is_away else statement()

    def enqueue(self, job: Callable[[], bool]) -> None:
        job()

    def retry_later(self, job: Callable[[], bool]) -> None:
        self.kept.append(job)


@pytest.fixture
def recorder(monkeypatch: Any) -> Inline:
    # Celery closes it after each task.
    monkeypatch.setattr(connections[DEFAULT_DB_ALIAS], "close", lambda: None)
    inline = Inline()
    monkeypatch.setattr(signals, "recorder", lambda: inline)
    signals.ongoing.clear()
    return inline


class Body:
    """What the task does, and under which ids it has started."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.does: Callable[..., Any] = lambda *_, **__: None


@pytest.fixture
def body() -> Body:
    return Body()


@pytest.fixture
def deliver(recorder: Inline, body: Body) -> Any:
    """Let a worker take a message, and return what Celery says has become of it."""

    @current_app.task(name="tests.noted", bind=True, shared=False)
    def noted(task: Any, *args: Any, **kwargs: Any) -> Any:
        body.started.append(task.request.id)
        return body.does(task, *args, **kwargs)

    def deliver_it(run_id: str, *args: Any, kwargs: Any = None, **request: Any) -> str:
        headers = {
            **OF_BEAT,
            "delivery_info": {},
            "id": run_id,
            "task": noted.name,
            "hostname": "celery@here",
            **request,
        }
        trace = build_tracer(noted.name, noted, app=current_app)
        _, info, *_ = trace(run_id, list(args), kwargs or {}, headers)
        return info.state if info else "SUCCESS"

    yield deliver_it
    current_app.tasks.pop(noted.name)


def run(**columns: Any) -> str:
    return str(entered(**{"periodic_task_id": 1, "state": "queued", **columns}).pk)


def the_run() -> Run:
    return Run.objects.get()


# --- Starts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["pending", "queued"])
def test_a_message_that_comes_twice_starts_its_run_once(deliver, body, state):
    run_id = run(state=state)

    assert deliver(run_id) == "SUCCESS"
    assert deliver(run_id) == "IGNORED"

    assert body.started == [run_id]
    assert the_run().attempts == 1


def test_what_runs_says_so_and_its_repeat_does_not_end_it(deliver, body):
    run_id = run()
    seen = []

    def look(task: Any) -> None:
        seen.append(the_run())
        body.does = lambda *_: None
        assert deliver(run_id) == "IGNORED"
        assert the_run().state == "running"

    body.does = look
    deliver(run_id)

    [running] = seen
    assert (running.state, running.worker, running.attempts) == ("running", "celery@here", 1)
    assert timedelta(0) <= running.lease_until - running.started_at - transitions.LEASE < HALF
    assert the_run().state == "succeeded"


@pytest.mark.parametrize("state", ["cancelled", "unroutable", "expired", "succeeded"])
def test_a_run_that_has_ended_does_not_start(deliver, body, state):
    assert deliver(run(state=state)) == "IGNORED"
    assert body.started == []


def test_a_run_that_was_given_up_may_still_come_out_of_a_long_queue(deliver, body):
    assert deliver(run(state="lost", reason="No worker has told of it.")) == "SUCCESS"

    assert (the_run().state, the_run().reason) == ("succeeded", "")


def test_a_run_that_was_lost_while_it_ran_does_not_start_again(deliver, body):
    assert deliver(run(state="lost", started_at=NOON)) == "IGNORED"
    assert body.started == []


@pytest.mark.parametrize(
    "run_id", ["889b2d80-7191-435c-92eb-809ea794cdd2", "an-id-of-somebody-else"]
)
def test_what_the_ledger_does_not_know_runs(deliver, body, run_id):
    assert deliver(run_id) == "SUCCESS"
    assert body.started == [run_id]


def test_what_is_not_of_beat_is_left_alone(deliver, body):
    run_id = run(state="cancelled")

    assert deliver(run_id, periodic_task_name=None) == "SUCCESS"

    assert body.started == [run_id]
    assert the_run().state == "cancelled"


def test_without_a_database_a_run_starts_and_its_end_is_kept(deliver, body, recorder, caplog):
    run_id = run()
    recorder.is_away = True

    assert deliver(run_id) == "SUCCESS"

    assert body.started == [run_id]
    assert "without recording it: gone" in caplog.text
    assert the_run().state == "queued"
    unseen, end = recorder.kept
    assert unseen()
    assert (the_run().state, the_run().started_at) == ("queued", None)
    assert the_run().lease_until > datetime.now(UTC)
    assert end()
    assert not unseen()
    assert (the_run().state, the_run().lease_until) == ("succeeded", None)


# --- Ends -------------------------------------------------------------------------------------


def test_a_result_is_kept(deliver, body):
    body.does = lambda task, x: {"sum": x + 2, "at": NOON, "api_token": "seen by nobody"}

    deliver(run(), 40)

    ended = the_run()
    assert ended.state == "succeeded"
    assert ended.result == '{"sum": 42, "at": "2027-06-01T12:00:00Z", "api_token": "***"}'
    assert not ended.is_result_truncated
    assert ended.finished_at >= ended.started_at
    assert ended.lease_until is None


def test_an_exception_is_kept_without_the_secrets_of_its_arguments(deliver, body):
    def fail(task: Any, *, password: str) -> None:
        raise ValueError(f"wrong: {password}")

    body.does = fail
    assert deliver(run(), kwargs={"password": "hush-hush"}) == "FAILURE"

    ended = the_run()
    assert (ended.state, ended.error_type, ended.error_message) == (
        "failed",
        "ValueError",
        "wrong: ***",
    )
    assert "in fail" in ended.traceback
    assert "hush-hush" not in ended.traceback


def test_arguments_that_do_not_fit_are_a_failure(deliver, body):
    body.does = lambda task: None

    assert deliver(run(), "one too many") == "FAILURE"

    assert the_run().error_type == "TypeError"


def test_a_retry_is_another_attempt_of_the_same_run(deliver, body, monkeypatch):
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

    waiting = the_run()
    assert (waiting.state, waiting.attempts) == ("queued", 1)
    assert waiting.reason == "Waiting for a retry: ValueError: not yet"
    assert waiting.lease_until > datetime.now(UTC) + timedelta(hours=2)
    [options] = sent
    assert options["task_id"] == run_id
    assert options["headers"]["periodic_task_name"] == "Heartbeat", "it would not be ours"

    assert deliver(run_id) == "IGNORED", "the message that was sent before comes again"
    assert deliver(run_id, retries=1) == "SUCCESS"
    assert (the_run().state, the_run().attempts) == ("succeeded", 2)
    assert (the_run().result, the_run().reason) == ('"at last"', "")


def test_a_task_that_ignores_itself_has_ended(deliver, body):
    def ignore(task: Any) -> None:
        raise Ignore

    body.does = ignore
    assert deliver(run()) == "IGNORED"

    assert (the_run().state, the_run().reason) == ("succeeded", signals.IGNORED)


def test_a_message_that_is_put_back_is_another_attempt(deliver, body):
    def put_back(task: Any) -> None:
        raise Reject("busy", requeue=True)

    run_id = run()
    body.does = put_back
    assert deliver(run_id) == "REJECTED"
    assert the_run().state == "queued"

    body.does = lambda task: None
    assert deliver(run_id, delivery_info={"redelivered": True}) == "SUCCESS"
    assert (the_run().state, the_run().attempts) == ("succeeded", 2)


def test_an_end_is_that_of_its_own_start(recorder):
    run_id = run(state="running", started_at=NOON)

    earlier = NOON - timedelta(minutes=1)
    assert not transitions.end(run_id, at=NOON, state="failed", started_at=earlier)

    assert the_run().state == "running"


def test_a_run_that_was_given_up_and_ends_has_ended(deliver, body):
    body.does = lambda task: Run.objects.update(state="lost", lease_until=None)

    deliver(run())

    assert the_run().state == "succeeded"


@pytest.mark.parametrize(
    ("columns", "is_ended"),
    [
        ({"state": "running", "is_cancel_requested": True}, True),
        ({"state": "cancelled", "reason": "The next run has taken its place."}, True),
        ({"state": "running"}, False),
        ({"state": "succeeded"}, False),
    ],
)
def test_what_was_cancelled_is_ended(recorder, columns, is_ended):
    run_id = run(started_at=NOON, lease_until=NOON, **columns)

    assert transitions.end_asked_for([run_id], at=NOON) is is_ended

    reason = (
        transitions.TERMINATED if "is_cancel_requested" in columns else columns.get("reason", "")
    )
    state = "cancelled" if is_ended else columns["state"]
    assert (the_run().state, the_run().reason) == (state, reason)


def test_a_run_that_was_cancelled_meanwhile_stays_so(deliver, body):
    body.does = lambda task: Run.objects.update(state="cancelled")

    deliver(run())

    assert the_run().state == "cancelled"


# --- What the broker delivers again -----------------------------------------------------------


def again(deliver: Any, run_id: str) -> str:
    return str(deliver(run_id, delivery_info={"redelivered": True}))


def test_what_no_worker_had_started_starts(deliver, body):
    assert again(deliver, run()) == "SUCCESS"
    assert the_run().attempts == 1


def test_a_run_whose_worker_may_live_does_not_start_twice(deliver, body):
    lease = datetime.now(UTC) + timedelta(seconds=30)
    run_id = run(state="running", started_at=NOON, lease_until=lease, attempts=1)

    assert again(deliver, run_id) == "IGNORED"

    assert body.started == []
    assert the_run().state == "running"


def test_a_run_whose_worker_is_gone_starts_again(deliver, body):
    task = may_start(2)
    run_id = run(periodic_task_id=task, state="running", started_at=NOON, **GONE)

    assert again(deliver, run_id) == "SUCCESS"

    assert (the_run().state, the_run().attempts) == ("succeeded", 2)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_task_that_kills_its_worker_does_not_loop(deliver, body, most):
    columns = {"state": "running", "started_at": NOON, **GONE, "attempts": most}
    run_id = run(periodic_task_id=may_start(most), **columns)

    assert again(deliver, run_id) == "IGNORED"

    assert body.started == []
    assert the_run().state == "running", "beat ends it, when it finds that its lease is over"


def may_start(times: int) -> int:
    task = stored(name="again")
    ManagedTask.objects.create(periodic_task=task, max_attempts=times)
    return int(task.pk)


# --- What the main process of a worker tells --------------------------------------------------


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (TimeLimitExceeded(3), "failed", signals.HARD_LIMIT),
        (WorkerLostError("signal 9"), "lost", signals.LOST),
    ],
)
def test_a_process_that_was_killed(deliver, error, state, reason):
    run_id = run(state="running", started_at=NOON)

    celery_signals.task_failure.send(
        sender=current_app.tasks["tests.noted"],
        task_id=run_id,
        exception=error,
        args=(),
        kwargs={},
        traceback=None,
        einfo=None,
    )

    assert (the_run().state, the_run().reason) == (state, reason)
    assert the_run().error_type == type(error).__name__


def test_nothing_is_forked_while_the_main_process_writes(deliver, monkeypatch):
    seen: list[bool] = []

    def look(*_: Any, **__: Any) -> bool:
        # What `os.fork` waits for.
        seen.append(fork_lock.is_locked)
        return True

    main_process.finish_in_main_process(look, run(state="running"), state="lost")

    assert seen == [True]
    assert not fork_lock.is_locked


def test_a_task_that_the_worker_does_not_know(deliver):
    run_id, other_id = run(), run()

    for pk, headers in ((run_id, OF_BEAT), (other_id, {})):
        celery_signals.task_unknown.send(
            sender=None,
            message=SimpleNamespace(headers=headers),
            exc=KeyError("tests.gone"),
            name="tests.gone",
            id=pk,
        )

    failed = Run.objects.get(pk=run_id)
    assert (failed.state, failed.error_type) == ("failed", "NotRegistered")
    assert failed.reason == main_process.UNKNOWN.format("tests.gone")
    assert Run.objects.get(pk=other_id).state == "queued"


@pytest.mark.parametrize(
    ("flags", "state", "reason"),
    [
        ({"terminated": False, "expired": True}, "expired", main_process.EXPIRED),
        ({"terminated": False, "expired": False}, "cancelled", main_process.REVOKED),
        ({"terminated": True, "expired": False}, "cancelled", main_process.TERMINATED),
    ],
)
def test_a_message_that_was_revoked(deliver, flags, state, reason):
    run_id = run()

    for request in (Context(id=run_id, **OF_BEAT), Context(id="of-somebody-else")):
        celery_signals.task_revoked.send(
            sender=current_app.tasks["tests.noted"], request=request, signum=None, **flags
        )

    assert (the_run().state, the_run().reason) == (state, reason)
