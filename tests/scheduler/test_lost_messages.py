"""Lost messages are republished; messages that wait or are held by a worker are not."""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from kombu import Connection

from scheduler_api.broker.queue_depths import Depth, QueueDepthProbe, measure
from scheduler_api.catalogue.models import TaskSpec, Worker
from scheduler_api.runs import transitions
from scheduler_api.runs.models import Run
from scheduler_api.scheduler.lost_messages import (
    CHECK_AFTER,
    LONGEST_BACKOFF,
    MAX_REPUBLISHED_PER_QUEUE,
    REPUBLISHED,
    LostMessages,
    alive_worker_counts,
    router_of,
)
from scheduler_api.scheduler.models import Republication
from tests.api.runs.examples import entered
from tests.catalogue.workers import REPORT, kill, send_report, start_worker
from tests.journeys.service import wait_for
from tests.scheduler.engines import HOUR, MINUTE, NOON, SECOND, TestedEngine
from tests.scheduler.examples import make_app

pytestmark = pytest.mark.both_databases

LONG_AGO = CHECK_AFTER + SECOND
CHECK_INTERVAL = 10 * SECOND
EMPTY = Depth(ready=0, consumers=1)


class FakeDepthProbe:
    """Answers at once, as the test wants."""

    def __init__(self) -> None:
        self.depths: dict[str, Depth] = {"celery": EMPTY}
        self.asked: list[set[str]] = []

    def ask(self, queues: Collection[str]) -> None:
        self.asked.append(set(queues))

    def take(self) -> Mapping[str, Depth] | None:
        return self.depths


class Beat(TestedEngine):
    """An engine that checks for lost messages when the test asks."""

    def __init__(self) -> None:
        super().__init__()
        self.depth_probe = FakeDepthProbe()
        self.engine.lost_messages = LostMessages(
            queue_of=lambda task, options: None if "exchange" in options else "celery",
            depth_probe=self.depth_probe,  # type: ignore[arg-type]
        )
        self.run()

    def check(self, times: int = 1, *, every: timedelta = CHECK_INTERVAL) -> list[str]:
        """Check `times` times; return the ids of the republished runs."""
        before = len(self.publisher.sent)
        for _ in range(times):
            self.run(at=self.now + every)
        return [run.id for run in self.publisher.sent[before:]]


@pytest.fixture
def beat(db, time_machine: Any) -> Beat:
    time_machine.move_to(NOON, tick=False)
    start_worker(send_report)
    engine = Beat()
    engine.run(at=NOON + LONG_AGO)
    return engine


def queued(**columns: Any) -> Run:
    return entered(**{"state": "queued", "queued_at": NOON, "task": REPORT, **columns})


def test_lost_message_is_republished_under_its_id(beat):
    run = queued()

    sent = beat.check(2)

    assert sent == [str(run.pk)]
    run.refresh_from_db()
    assert (run.state, run.reason, run.queued_at) == ("queued", REPUBLISHED, NOON)
    assert beat.engine.in_flight == set()


def test_republished_message_starts_the_run_once(beat):
    run = queued()
    beat.check(2)

    moments = (NOON, NOON + SECOND)
    starts = [transitions.start(str(run.pk), at=at, worker="celery@one") for at in moments]

    assert [start.is_to_start for start in starts] == [True, False]
    assert not Run.objects.get().reason
    Run.objects.update(lease_until=NOON + HOUR)
    assert beat.check(20) == []


def test_runs_of_a_queue_with_messages_are_not_republished(beat):
    beat.depth_probe.depths["celery"] = Depth(ready=1, consumers=1)
    queued()

    assert beat.check(30) == []
    assert beat.depth_probe.asked


@pytest.mark.parametrize(
    "columns",
    [
        {"created_at": NOON + 60 * SECOND, "queued_at": NOON + 60 * SECOND},
        {"queued_at": NOON + 60 * SECOND},
        {"lease_until": NOON + HOUR},
        {"started_at": NOON, "lease_until": NOON + HOUR},
        {"state": "running", "started_at": NOON, "lease_until": NOON + HOUR},
        {"state": "succeeded", "started_at": NOON},
        {"state": "pending", "queued_at": None},
        {"options": '{"exchange": "mine", "routing_key": "key"}'},
        {"task": "project.tasks.heartbeat"},
    ],
    ids=["entered late", "queued late", "unseen", "tried again", "running", "ended", "pending",
         "by a route", "of no worker"],
)  # fmt: skip
def test_run_that_is_not_suspect_is_not_republished(beat, columns):
    queued(**columns)

    assert beat.check(2) == []


def test_republication_backs_off_until_the_run_is_given_up(beat):
    run = queued()
    at = []

    while Run.objects.get(pk=run.pk).state == "queued":
        if beat.check(every=MINUTE):
            at.append(beat.now)

    minutes = [(after - before) / MINUTE for before, after in pairwise(at)]
    assert minutes == [1, 2, 4, 8, 16]
    assert (Run.objects.get().state, beat.now - NOON) == ("lost", HOUR + SECOND)
    assert max(CHECK_AFTER * 2**number for number in range(6)) < LONGEST_BACKOFF


def test_two_beats_republish_a_message_once(beat):
    queued()
    other = Beat()
    other.run(at=beat.now)

    sent = beat.check() + other.check() + beat.check() + other.check()

    assert len(sent) == 1


def test_republished_runs_of_a_queue_are_limited(beat, monkeypatch):
    monkeypatch.setattr("scheduler_api.scheduler.lost_messages.MAX_REPUBLISHED_PER_QUEUE", 2)
    runs = [queued(created_at=NOON - number * SECOND) for number in range(3)]

    first = beat.check(3)
    transitions.start(first[0], at=NOON, worker="celery@one")
    then = beat.check(2)

    assert first == [str(runs[2].pk), str(runs[1].pk)]
    assert then == [str(runs[0].pk)]
    assert MAX_REPUBLISHED_PER_QUEUE == 500


def test_long_queue_does_not_hide_other_suspects(beat, monkeypatch):
    monkeypatch.setattr("scheduler_api.scheduler.lost_messages.CHECK_BATCH_SIZE", 2)
    lost = queued(created_at=NOON + SECOND)
    for number in range(4):
        queued(created_at=NOON - number * SECOND, options='{"exchange": "long"}')

    assert beat.check(4) == [str(lost.pk)]


def test_queue_without_a_recorded_worker_is_not_republished(beat):
    queued()
    kill(Worker.objects.get())
    assert beat.check(3) == []

    start_worker(send_report, queues=("other",))
    assert beat.check(3) == []

    start_worker(send_report)
    assert len(beat.check(3)) == 1


def test_queue_with_an_unknown_consumer_is_not_republished(beat):
    beat.depth_probe.depths["celery"] = Depth(ready=0, consumers=2)
    queued()
    assert beat.check(3) == []

    start_worker(send_report, name="celery@two")
    assert len(beat.check(3)) == 1


def test_run_of_an_unrecorded_task_is_not_republished(beat):
    TaskSpec.objects.update(is_recorded=False)
    queued()

    assert beat.check(3) == []


def test_run_started_without_a_report_is_not_republished(beat):
    run = queued()
    assert transitions.record_unseen_start(str(run.pk), until=NOON + HOUR)

    assert beat.check(3) == []
    assert transitions.end(str(run.pk), at=NOON, state="succeeded")


def test_expired_message_is_not_republished(beat):
    queued(options='{"expires": "2027-06-01T12:00:30+00:00"}')

    assert beat.check(3) == []


def test_missing_or_unmeasured_queue_is_not_republished(beat):
    beat.depth_probe.depths = {}
    queued()

    assert beat.check(3) == []


def test_broker_is_not_asked_again_before_it_answers(beat, monkeypatch):
    monkeypatch.setattr(beat.depth_probe, "take", lambda: None)
    queued()

    assert beat.check(3) == []
    assert beat.depth_probe.asked == []


def test_check_is_skipped_while_the_broker_is_unavailable(beat):
    beat.publisher.is_ready = False
    queued()

    assert beat.check(3) == []
    assert Republication.objects.count() == 0


def test_republication_of_a_started_run_is_deleted(beat):
    run = queued()
    beat.check(2)
    transitions.start(str(run.pk), at=NOON, worker="celery@one")
    other = queued()

    beat.check(2)

    assert [repeat.run_id for repeat in Republication.objects.all()] == [other.pk]


# --- Queue of a run ---------------------------------------------------------------------------

ROUTED = make_app(
    task_routes={
        "far": "celery.other",
        "by.key": {"queue": "celery.topic", "routing_key": "a.b"},
        "gone": "nowhere",
    }
)


@pytest.mark.parametrize(
    ("task", "options", "queue"),
    [
        ("add", "{}", "celery"),
        ("unknown", "{}", "celery"),
        ("add", '{"queue": "celery.other", "priority": 5, "headers": {"x-a": "b"}}',
         "celery.other"),
        ("far", "{}", "celery.other"),
        ("by.key", "{}", None),
        ("gone", "{}", None),
        ("add", '{"queue": "nowhere"}', None),
        ("add", '{"exchange": "celery", "routing_key": "celery.other"}', None),
        ("add", '{"routing_key": "celery.other"}', None),
    ],
)  # fmt: skip
def test_queue_of_a_run(task, options, queue):
    assert router_of(ROUTED)(task, options) == queue


@pytest.mark.filterwarnings("ignore:[\\s\\S]*task attribute is deprecated")
def test_queue_named_by_the_task_class_is_used():
    app = make_app()

    @app.task(name="slow", queue="celery.other", shared=False, lazy=False)
    def slow() -> None: ...

    assert router_of(app)("slow", "{}") == "celery.other"


def test_queue_of_a_custom_router_is_unknown():
    app = make_app(task_routes=[lambda *_, **__: {"queue": "celery.other"}])

    assert router_of(app)("add", "{}") is None


# --- Queue depths -----------------------------------------------------------------------------


@pytest.fixture
def queue() -> str:
    return f"lost-{uuid4().hex[:8]}"


def test_rabbitmq_reports_messages_and_consumers(rabbitmq_url: str, queue: str) -> None:
    app = make_app(rabbitmq_url, queue=queue)
    with Connection(rabbitmq_url) as connection:
        channel = connection.default_channel
        try:
            for name in (queue, f"{queue}.other"):
                channel.queue_declare(queue=name, durable=True, auto_delete=False)
            app.amqp.queues[queue](channel).declare()
            for _ in range(3):
                app.send_task("add", [1], connection=connection)
            tag = channel.basic_consume(f"{queue}.other", callback=lambda _: None)

            depths = measure(app, [queue, f"{queue}.none", f"{queue}.other"])
            channel.basic_cancel(tag)
        finally:
            for name in (queue, f"{queue}.other"):
                channel.queue_delete(name)
            channel.exchange_delete(queue)

    assert depths == {
        queue: Depth(ready=3, consumers=0),
        f"{queue}.other": Depth(ready=0, consumers=1),
    }


def test_redis_reports_messages(redis_url: str, queue: str) -> None:
    app = make_app(redis_url, queue=queue)
    assert measure(app, [queue]) == {queue: Depth(ready=0, consumers=None)}

    app.send_task("add", [1])
    try:
        assert measure(app, [queue]) == {queue: Depth(ready=1, consumers=None)}
    finally:
        with app.connection_for_write() as connection:
            connection.default_channel.queue_purge(queue)


def test_probe_answers_later_and_once() -> None:
    depth_probe = QueueDepthProbe(make_app("memory://"))
    assert depth_probe.take() == {}

    depth_probe.ask(["celery"])
    depths: list[Mapping[str, Depth]] = []

    def has_answered() -> bool:
        answer = depth_probe.take()
        if answer is not None:
            depths.append(answer)
        return answer is not None

    wait_for(has_answered, seconds=30)
    assert depths == [{"celery": Depth(ready=0, consumers=None)}]
    assert depth_probe.take() == {}


def test_unavailable_broker_reports_no_depth() -> None:
    depth_probe = QueueDepthProbe(make_app("amqp://guest:guest@127.0.0.1:1//"))

    depth_probe.ask(["celery"])
    wait_for(lambda: depth_probe.take() == {}, seconds=60)

    assert depth_probe.take() == {}


def test_late_depth_answer_is_not_used(monkeypatch) -> None:
    monkeypatch.setattr("scheduler_api.broker.queue_depths.MAX_ANSWER_AGE_SECONDS", 0.0)
    depth_probe = QueueDepthProbe(make_app("memory://"))

    depth_probe.ask(["celery"])

    assert depth_probe.take() == {}


def test_alive_workers_are_counted_by_queue(db) -> None:
    start_worker(queues=("celery", "slow"))
    start_worker(name="celery@two")
    kill(start_worker(name="celery@three"))

    assert alive_worker_counts() == Counter(celery=2, slow=1)
