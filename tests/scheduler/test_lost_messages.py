"""Messages that the broker has lost are sent again; those that wait, or are in hands, hardly."""

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
LOOK = 10 * SECOND
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
    """An engine that looks for lost messages, once asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.depth_probe = FakeDepthProbe()
        self.engine.lost_messages = LostMessages(
            queue_of=lambda task, options: None if "exchange" in options else "celery",
            depth_probe=self.depth_probe,  # type: ignore[arg-type]
        )
        self.run()

    def look(self, times: int = 1, *, every: timedelta = LOOK) -> list[str]:
        """Look so often; return the ids of what was sent again."""
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


def test_a_run_whose_message_is_gone_is_sent_again_under_its_id(beat):
    run = queued()

    sent = beat.look(2)

    assert sent == [str(run.pk)]
    run.refresh_from_db()
    assert (run.state, run.reason, run.queued_at) == ("queued", REPUBLISHED, NOON)
    assert beat.engine.in_flight == set()


def test_the_worker_that_gets_it_starts_it_once(beat):
    run = queued()
    beat.look(2)

    moments = (NOON, NOON + SECOND)
    starts = [transitions.start(str(run.pk), at=at, worker="celery@one") for at in moments]

    assert [start.is_to_start for start in starts] == [True, False]
    assert not Run.objects.get().reason
    Run.objects.update(lease_until=NOON + HOUR)
    assert beat.look(20) == []


def test_a_long_queue_is_left_alone(beat):
    beat.depth_probe.depths["celery"] = Depth(ready=1, consumers=1)
    queued()

    assert beat.look(30) == []
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
def test_what_is_not_missed_is_not_sent(beat, columns):
    queued(**columns)

    assert beat.look(2) == []


def test_it_is_repeated_ever_more_rarely_until_it_is_given_up(beat):
    run = queued()
    at = []

    while Run.objects.get(pk=run.pk).state == "queued":
        if beat.look(every=MINUTE):
            at.append(beat.now)

    minutes = [(after - before) / MINUTE for before, after in pairwise(at)]
    assert minutes == [1, 2, 4, 8, 16]
    assert (Run.objects.get().state, beat.now - NOON) == ("lost", HOUR + SECOND)
    assert max(CHECK_AFTER * 2**number for number in range(6)) < LONGEST_BACKOFF


def test_another_beat_does_not_repeat_it_too(beat):
    queued()
    other = Beat()
    other.run(at=beat.now)

    sent = beat.look() + other.look() + beat.look() + other.look()

    assert len(sent) == 1


def test_only_so_many_are_out_at_once(beat, monkeypatch):
    monkeypatch.setattr("scheduler_api.scheduler.lost_messages.MAX_REPUBLISHED_PER_QUEUE", 2)
    runs = [queued(created_at=NOON - number * SECOND) for number in range(3)]

    first = beat.look(3)
    transitions.start(first[0], at=NOON, worker="celery@one")
    then = beat.look(2)

    assert first == [str(runs[2].pk), str(runs[1].pk)]
    assert then == [str(runs[0].pk)]
    assert MAX_REPUBLISHED_PER_QUEUE == 500


def test_a_long_queue_does_not_hide_the_others(beat, monkeypatch):
    monkeypatch.setattr("scheduler_api.scheduler.lost_messages.CHECK_BATCH_SIZE", 2)
    lost = queued(created_at=NOON + SECOND)
    for number in range(4):
        queued(created_at=NOON - number * SECOND, options='{"exchange": "long"}')

    assert beat.look(4) == [str(lost.pk)]


def test_without_a_worker_that_tells_of_runs_nothing_is_sent(beat):
    queued()
    kill(Worker.objects.get())
    assert beat.look(3) == []

    start_worker(send_report, queues=("other",))
    assert beat.look(3) == []

    start_worker(send_report)
    assert len(beat.look(3)) == 1


def test_where_others_take_from_the_queue_nothing_is_sent(beat):
    beat.depth_probe.depths["celery"] = Depth(ready=0, consumers=2)
    queued()
    assert beat.look(3) == []

    start_worker(send_report, name="celery@two")
    assert len(beat.look(3)) == 1


def test_a_task_whose_starts_are_not_told_is_not_sent(beat):
    TaskSpec.objects.update(is_recorded=False)
    queued()

    assert beat.look(3) == []


def test_a_run_that_has_started_unseen_is_not_missed(beat):
    run = queued()
    assert transitions.record_unseen_start(str(run.pk), until=NOON + HOUR)

    assert beat.look(3) == []
    assert transitions.end(str(run.pk), at=NOON, state="succeeded")


def test_a_message_that_is_too_old_is_not_sent(beat):
    queued(options='{"expires": "2027-06-01T12:00:30+00:00"}')

    assert beat.look(3) == []


def test_a_queue_that_is_not_there_or_not_told_of_is_left_alone(beat):
    beat.depth_probe.depths = {}
    queued()

    assert beat.look(3) == []


def test_while_the_broker_has_not_answered_nobody_asks_again(beat, monkeypatch):
    monkeypatch.setattr(beat.depth_probe, "take", lambda: None)
    queued()

    assert beat.look(3) == []
    assert beat.depth_probe.asked == []


def test_while_the_broker_is_away_nobody_looks(beat):
    beat.publisher.is_ready = False
    queued()

    assert beat.look(3) == []
    assert Republication.objects.count() == 0


def test_what_was_repeated_and_has_started_is_forgotten(beat):
    run = queued()
    beat.look(2)
    transitions.start(str(run.pk), at=NOON, worker="celery@one")
    other = queued()

    beat.look(2)

    assert [repeat.run_id for repeat in Republication.objects.all()] == [other.pk]


# --- Where a run goes -------------------------------------------------------------------------

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
def test_the_queue_of_a_run(task, options, queue):
    assert router_of(ROUTED)(task, options) == queue


@pytest.mark.filterwarnings("ignore:[\\s\\S]*task attribute is deprecated")
def test_a_task_class_may_name_its_queue():
    app = make_app()

    @app.task(name="slow", queue="celery.other", shared=False, lazy=False)
    def slow() -> None: ...

    assert router_of(app)("slow", "{}") == "celery.other"


def test_what_a_router_in_python_says_is_not_known():
    app = make_app(task_routes=[lambda *_, **__: {"queue": "celery.other"}])

    assert router_of(app)("add", "{}") is None


# --- What a broker tells ----------------------------------------------------------------------


@pytest.fixture
def queue() -> str:
    return f"lost-{uuid4().hex[:8]}"


def test_rabbitmq_tells_how_many_wait_and_who_takes_them(rabbitmq_url: str, queue: str) -> None:
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

            told = measure(app, [queue, f"{queue}.none", f"{queue}.other"])
            channel.basic_cancel(tag)
        finally:
            for name in (queue, f"{queue}.other"):
                channel.queue_delete(name)
            channel.exchange_delete(queue)

    assert told == {
        queue: Depth(ready=3, consumers=0),
        f"{queue}.other": Depth(ready=0, consumers=1),
    }


def test_redis_tells_how_many_wait(redis_url: str, queue: str) -> None:
    app = make_app(redis_url, queue=queue)
    assert measure(app, [queue]) == {queue: Depth(ready=0, consumers=None)}

    app.send_task("add", [1])
    try:
        assert measure(app, [queue]) == {queue: Depth(ready=1, consumers=None)}
    finally:
        with app.connection_for_write() as connection:
            connection.default_channel.queue_purge(queue)


def test_the_gauge_answers_later_and_once() -> None:
    depth_probe = QueueDepthProbe(make_app("memory://"))
    assert depth_probe.take() == {}

    depth_probe.ask(["celery"])
    told: list[Mapping[str, Depth]] = []

    def has_answered() -> bool:
        answer = depth_probe.take()
        if answer is not None:
            told.append(answer)
        return answer is not None

    wait_for(has_answered, seconds=30)
    assert told == [{"celery": Depth(ready=0, consumers=None)}]
    assert depth_probe.take() == {}


def test_a_broker_that_is_away_tells_nothing() -> None:
    depth_probe = QueueDepthProbe(make_app("amqp://guest:guest@127.0.0.1:1//"))

    depth_probe.ask(["celery"])
    wait_for(lambda: depth_probe.take() == {}, seconds=60)

    assert depth_probe.take() == {}


def test_an_answer_that_comes_late_is_not_used(monkeypatch) -> None:
    monkeypatch.setattr("scheduler_api.broker.queue_depths.MAX_ANSWER_AGE_SECONDS", 0.0)
    depth_probe = QueueDepthProbe(make_app("memory://"))

    depth_probe.ask(["celery"])

    assert depth_probe.take() == {}


def test_living_workers_are_counted_by_queue(db) -> None:
    start_worker(queues=("celery", "slow"))
    start_worker(name="celery@two")
    kill(start_worker(name="celery@three"))

    assert alive_worker_counts() == Counter(celery=2, slow=1)
