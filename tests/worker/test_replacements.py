"""Tasks that hand their work on: their run ends as the last task of the replacement does."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Celery, chain, chord, group
from celery import signals as celery_signals
from celery.app.task import Context
from celery.app.trace import build_tracer
from celery.exceptions import Ignore, Reject

from scheduler_api.runs import transitions
from scheduler_api.runs.models import Run
from scheduler_api.worker import redeliveries, replacements, signals
from scheduler_api.worker.main_process import EXPIRED, REVOKED
from scheduler_api.worker.run_messages import HEADER
from tests.api.runs.examples import NOON
from tests.worker.runs import run, stored_run

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


class Fleet:
    """A worker of an app with a broker and a result backend in memory."""

    def __init__(self) -> None:
        self.app = app = Celery(
            "fleet", broker="memory://", backend="cache+memory://", set_as_current=False
        )
        self.ran: list[str] = []
        self.replacement: Callable[[], Any] = lambda: None

        @app.task(name="fleet.start", bind=True, shared=False)
        def start(task: Any) -> Any:
            return task.replace(self.replacement())

        @app.task(name="fleet.add", shared=False)
        def add(x: int, y: int) -> int:
            return x + y

        @app.task(name="fleet.sum", shared=False)
        def total(numbers: list[int]) -> int:
            return sum(numbers)

        @app.task(name="fleet.fail", shared=False)
        def fail(*_: Any) -> None:
            raise ValueError("as asked")

        @app.task(name="fleet.ignore", shared=False)
        def ignore(*_: Any) -> None:
            raise Ignore

        @app.task(name="fleet.reject", shared=False)
        def reject(*_: Any) -> None:
            raise Reject("no")

        @app.task(name="fleet.pass_on", bind=True, shared=False)
        def pass_on(task: Any, *args: Any, by: str = "add") -> Any:
            return task.replace(app.tasks[f"fleet.{by}"].s(*args))

        @app.task(name="fleet.retry_once", bind=True, shared=False)
        def retry_once(task: Any) -> str:
            if not task.request.retries:
                raise task.retry(countdown=0)
            return "at last"

        self.add, self.sum, self.fail, self.ignore = add, total, fail, ignore
        self.pass_on, self.retry_once, self.reject = pass_on, retry_once, reject
        app.finalize()
        self.connection = app.connection_for_read()
        self.queue = self.connection.SimpleQueue("celery")
        self.queue.clear()

    def deliver(self, run_id: str) -> None:
        """Deliver the message of a run to the worker."""
        self.trace("fleet.start", run_id, [], {}, {"periodic_task_name": "Heartbeat"})

    def work(self, messages: int = 20) -> None:
        """Execute the tasks of the queue until it is empty."""
        for _ in range(messages):
            message = self.next()
            if message is None:
                return
            self.execute(message)

    def next(self) -> Any:
        try:
            message = self.queue.get_nowait()
        except self.queue.Empty:
            return None
        message.ack()
        return message

    def execute(self, message: Any) -> None:
        args, kwargs, embed = message.payload
        self.trace(
            message.headers["task"],
            message.headers["id"],
            args,
            kwargs,
            {**message.headers, **embed},
        )

    def trace(self, name: str, pk: str, args: Any, kwargs: Any, request: dict[str, Any]) -> None:
        task = self.app.tasks[name]
        self.ran.append(name)
        info = {"delivery_info": {}, "hostname": "celery@here", "id": pk, "task": name}
        trace = build_tracer(name, task, app=self.app)
        trace(pk, args, kwargs, {**info, **request})


@pytest.fixture
def fleet(recorder: Any) -> Iterator[Fleet]:
    fleet = Fleet()
    yield fleet
    assert not signals.ongoing
    assert fleet.next() is None
    fleet.connection.close()
    fleet.app.close()


ENDS: dict[str, tuple[Callable[[Fleet], Any], Any]] = {
    "task": (lambda f: f.add.s(1, 2), 3),
    "task that retries": (lambda f: f.retry_once.s(), "at last"),
    "task that is replaced again": (lambda f: f.pass_on.s(1, 2), 3),
    "chain": (lambda f: chain(f.add.s(1, 2), f.add.s(3), f.add.s(4)), 10),
    "chain of chains": (lambda f: f.add.s(1, 2) | (f.add.s(3) | f.add.s(4)), 10),
    "chain of a task that is replaced": (lambda f: f.pass_on.s(1, 2) | f.add.s(3), 6),
    "chain that ends with a group": (
        lambda f: chain(f.add.s(1, 2), group(f.add.s(3), f.add.s(4))),
        [6, 7],
    ),
    "chain that ends with a chord": (
        lambda f: chain(f.add.s(1, 2), group(f.add.s(3), f.add.s(4)), f.sum.s()),
        13,
    ),
    "group": (lambda f: group(f.add.s(1, 2), f.add.s(3, 4)), [3, 7]),
    "group of one": (lambda f: group(f.add.s(1, 2)), [3]),
    "group of a generator": (lambda f: group(f.add.s(n, 1) for n in range(3)), [1, 2, 3]),
    "chord": (lambda f: chord([f.add.s(1, 2), f.add.s(3, 4)], f.sum.s()), 10),
    "chord of chains": (
        lambda f: chord([f.add.s(1, 2) | f.add.s(3), f.add.s(3, 4)], f.sum.s()),
        13,
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_run_has_the_result_of_its_replacement(fleet, name):
    make, result = ENDS[name]
    fleet.replacement = lambda: make(fleet)

    fleet.deliver(run(expires_at=NOON))
    waiting = stored_run()
    fleet.work()

    assert (waiting.state, waiting.finished_at) == ("queued", None)
    assert waiting.expires_at is None, "only its first message expires"
    assert waiting.reason.startswith("The task was replaced by ")
    assert waiting.lease_until > datetime.now(UTC) + timedelta(minutes=50)
    ended = stored_run()
    assert (ended.state, ended.reason, ended.lease_until) == ("succeeded", "", None)
    assert ended.result == f"{result!r}".replace("'", '"')
    assert ended.started_at == waiting.started_at
    assert ended.attempts == (2 if name == "task that retries" else 1)


FAILURES: dict[str, Callable[[Fleet], Any]] = {
    "task": lambda f: f.fail.s(),
    "task that is replaced again": lambda f: f.pass_on.s(by="fail"),
    "first of a chain": lambda f: chain(f.fail.s(), f.add.s(3)),
    "middle of a chain": lambda f: chain(f.add.s(1, 2), f.fail.s(), f.add.s(3)),
    "last of a chain": lambda f: chain(f.add.s(1, 2), f.fail.s()),
    "replacement in a chain": lambda f: chain(f.pass_on.s(by="fail"), f.add.s(3)),
    "task of a group": lambda f: group(f.add.s(1, 2), f.fail.s()),
    "header of a chord": lambda f: chord([f.fail.s(), f.add.s(1, 2)], f.sum.s()),
    "body of a chord": lambda f: chord([f.add.s(1, 2), f.add.s(3, 4)], f.fail.s()),
    "chain in the header of a chord": lambda f: chord(
        [f.add.s(1, 2) | f.fail.s(), f.add.s(3, 4)], f.sum.s()
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_run_fails_with_its_replacement(fleet, name):
    fleet.replacement = lambda: FAILURES[name](fleet)

    fleet.deliver(run())
    fleet.work()

    ended = stored_run()
    assert (ended.state, ended.error_type, ended.error_message) == (
        "failed",
        "ValueError",
        "as asked",
    )
    assert "in fail" in ended.traceback


def test_replacement_that_cannot_be_sent_fails_the_run(fleet, monkeypatch):
    fleet.replacement = fleet.add.s  # typing refuses it: no arguments

    fleet.deliver(run())

    assert (stored_run().state, stored_run().error_type) == ("failed", "TypeError")


@pytest.mark.parametrize("is_first", [True, False])
def test_ignore_in_a_replacement_ends_the_run(fleet, is_first):
    tasks = [fleet.ignore.s(), fleet.add.s(1)]
    fleet.replacement = lambda: chain(tasks if is_first else [fleet.add.s(1, 2), tasks[0]])

    fleet.deliver(run())
    fleet.work()

    assert (stored_run().state, stored_run().reason) == ("succeeded", signals.IGNORED)


def test_reject_in_a_replacement_fails_the_run(fleet):
    fleet.replacement = lambda: chain(fleet.reject.s(), fleet.add.s(1))

    fleet.deliver(run())
    fleet.work()

    assert (stored_run().state, stored_run().reason) == ("failed", redeliveries.NOT_REQUEUED)


def test_parts_of_a_cancelled_run_are_dropped(fleet):
    run_id = run()
    fleet.replacement = lambda: chain(fleet.add.s(1, 2), fleet.add.s(3))
    fleet.deliver(run_id)

    assert transitions.cancel(run_id, at=datetime.now(UTC), reason="enough")
    fleet.work()

    assert (stored_run().state, stored_run().reason) == ("cancelled", "enough")
    assert fleet.ran == ["fleet.start", "fleet.add"], "a part is dropped, and none follows"


def test_parts_of_an_earlier_attempt_are_dropped(fleet):
    run_id = run()
    fleet.replacement = lambda: group(fleet.add.s(1, 2), fleet.fail.s())
    fleet.deliver(run_id)
    parts = [fleet.next(), fleet.next()]
    Run.objects.update(started_at=datetime.now(UTC))

    for message in parts:
        fleet.execute(message)

    assert stored_run().state == "queued"


def test_lost_run_follows_its_late_replacement(fleet):
    fleet.replacement = lambda: chain(fleet.add.s(1, 2), fleet.add.s(3))
    fleet.deliver(run())
    Run.objects.update(state="lost", lease_until=None)

    fleet.work()

    assert (stored_run().state, stored_run().result) == ("succeeded", "6")


@pytest.mark.parametrize(("state", "is_dropped"), [("queued", False), ("cancelled", True)])
def test_poll_of_a_chord_changes_no_run_and_ends_with_it(fleet, monkeypatch, state, is_dropped):
    polls: list[str] = []
    run_id = run(state=state, started_at=NOON, attempts=1)
    monkeypatch.setattr(
        fleet.app.tasks["celery.chord_unlock"], "run", lambda *_: polls.append("polled")
    )

    fleet.trace("celery.chord_unlock", "of-the-poll", [], {}, {HEADER: run_id})

    assert bool(polls) is not is_dropped
    assert (stored_run().state, stored_run().attempts) == (state, 1)


def test_running_part_is_a_run_of_this_process(fleet):
    seen: list[Any] = []
    run_id = run()
    fleet.replacement = lambda: chain(fleet.add.s(1, 2), fleet.add.s(3))
    fleet.deliver(run_id)

    @celery_signals.task_success.connect
    def look(**_: Any) -> None:
        seen.append((signals.ongoing.run_ids(), stored_run().state, stored_run().worker))

    # Before our own receiver forgets it.
    receivers = celery_signals.task_success.receivers
    receivers.insert(0, receivers.pop())
    try:
        fleet.work()
    finally:
        celery_signals.task_success.disconnect(look)

    assert seen == [([run_id], "running", "celery@here")] * 2


def test_header_of_a_caller_makes_no_part(fleet):
    other = run()
    run_id = run()
    fleet.replacement = fleet.fail.s

    fleet.trace("fleet.fail", run_id, [], {}, {"periodic_task_name": "Heartbeat", HEADER: other})

    states = dict(Run.objects.values_list("pk", "state"))
    assert states == {UUID(other): "queued", UUID(run_id): "failed"}


class Received:
    """The part of celery.worker.request.Request that is used."""

    def __init__(self, message: Any) -> None:
        self.id = message.headers["id"]
        self.request_dict = message.headers
        self._context = Context(message.headers)


@pytest.mark.parametrize(
    ("error", "state"), [(TimeLimitExceeded(1), "failed"), (WorkerLostError("gone"), "lost")]
)
def test_lost_process_of_a_part_ends_the_run(fleet, error, state):
    fleet.replacement = lambda: chain(fleet.add.s(1, 2), fleet.add.s(3))
    fleet.deliver(run())
    message = fleet.next()
    request = Received(message)
    celery_signals.task_received.send(sender=None, request=request)

    celery_signals.task_failure.send(
        sender=fleet.add,
        task_id=request.id,
        exception=error,
        args=(),
        kwargs={},
        traceback=None,
        einfo=None,
    )

    assert (stored_run().state, stored_run().error_type) == (state, type(error).__name__)
    pk = request.id
    del request
    assert replacements.received_part(pk) is None


@pytest.mark.parametrize(
    ("is_expired", "state", "reason"),
    [(True, "expired", EXPIRED), (False, "cancelled", REVOKED)],
)
def test_revoked_part_ends_the_run(fleet, is_expired, state, reason):
    fleet.replacement = lambda: chain(fleet.add.s(1, 2), fleet.add.s(3))
    fleet.deliver(run())
    request = Received(fleet.next())._context

    celery_signals.task_revoked.send(
        sender=fleet.add, request=request, terminated=False, expired=is_expired, signum=None
    )

    assert (stored_run().state, stored_run().reason) == (state, reason)
