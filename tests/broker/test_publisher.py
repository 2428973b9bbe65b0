"""The publisher on real brokers, and on connections that fail."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import Celery, Task, signals
from celery.contrib.testing.worker import start_worker
from kombu import Connection, Exchange, Queue

from project import celery_app
from scheduler_api.broker import connection, frames, rabbitmq_transport
from scheduler_api.broker import publisher as publisher_module
from scheduler_api.broker.channels import Channel
from scheduler_api.broker.frames import METHOD, FrameTemplate, frame
from scheduler_api.broker.message_templates import MessageTemplates
from scheduler_api.broker.outgoing import BatchResult, Outgoing, PublishFailure
from scheduler_api.broker.publisher import Publisher
from tests.broker.proxy import Proxy
from tests.scheduler.examples import make_app, outgoing

FAR_AWAY = {"expires": "2100-01-01T00:00:00+00:00"}
WAIT_SECONDS = 20
WAKE = threading.Condition()


def wake() -> None:
    with WAKE:
        WAKE.notify_all()


def wait_until(condition: Callable[[], Any], *, timeout_seconds: float = WAIT_SECONDS) -> None:
    end = time.monotonic() + timeout_seconds
    with WAKE:
        while not condition():
            assert time.monotonic() < end, "it took too long"
            WAKE.wait(0.05)


@pytest.fixture
def start() -> Iterator[Callable[[Celery], Publisher]]:
    """Start the publisher of an app, and wait until it is ready."""
    started: list[Publisher] = []

    def start_with(app: Celery, *, ready: bool = True) -> Publisher:
        publisher = Publisher(app, wake=wake)
        started.append(publisher)
        publisher.start()
        if ready:
            wait_until(lambda: publisher.is_ready)
        return publisher

    yield start_with
    for publisher in started:
        publisher.close(0)
        assert not publisher.is_alive()


@pytest.fixture
def queue(rabbitmq_url: str) -> Iterator[str]:
    """The name of a queue; it and queues whose names start with it are deleted after the test."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    with Connection(rabbitmq_url) as connection:
        for suffix in ("", ".other", ".topic"):
            connection.default_channel.queue_delete(name + suffix)
            connection.default_channel.exchange_delete(name + suffix)


@pytest.fixture
def app(rabbitmq_url: str, queue: str) -> Celery:
    return make_app(rabbitmq_url, queue=queue)


@pytest.fixture
def proxy(rabbitmq_url: str) -> Iterator[Proxy]:
    parts = urlsplit(rabbitmq_url)
    with Proxy((parts.hostname or "", parts.port or 5672)) as proxy:
        yield proxy


@pytest.fixture
def proxied_app(proxy: Proxy, rabbitmq_url: str, queue: str) -> Celery:
    parts = urlsplit(rabbitmq_url)
    url = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}")
    return make_app(url.geturl(), queue=queue)


def publish(
    publisher: Publisher, *runs: Outgoing, timeout_seconds: float = WAIT_SECONDS
) -> BatchResult:
    """Publish a batch, and return its result, which is the only one."""
    publisher.submit(7, runs)
    wait_until(lambda: not publisher.in_flight, timeout_seconds=timeout_seconds)
    [result] = publisher.take_results()
    assert result.batch_id == 7
    assert len(result.confirmed) + len(result.failed) == len(runs)
    return result


def failures(result: BatchResult) -> dict[str, PublishFailure]:
    return {run_id: failure for run_id, (failure, _) in result.failed.items()}


def received(app: Celery, name: str) -> list[Any]:
    """Take all messages of a queue."""
    with app.connection_for_read() as connection:
        bound = Queue(name)(connection.default_channel)
        messages = []
        while (message := bound.get(no_ack=True)) is not None:
            messages.append(message)
    return messages


# --- RabbitMQ ---------------------------------------------------------------------------------


def test_each_message_is_confirmed_and_received_once(start, app, queue):
    runs = [outgoing("any", number, periodic_task_name=f"Täsk {number}") for number in range(2500)]

    result = publish(start(app), *runs)

    assert sorted(result.confirmed) == sorted(run.id for run in runs)
    messages = received(app, queue)
    assert [message.headers["id"] for message in messages] == [run.id for run in runs]
    assert messages[3].payload[0] == [3]
    assert messages[3].headers["periodic_task_name"] == "Täsk 3"
    assert messages[3].properties["delivery_mode"] == 2


@pytest.mark.parametrize("is_on", [True, False])
def test_prebuilt_messages_are_published_only_with_fast_paths(
    start, app, settings, monkeypatch, is_on
):
    settings.FAST_PATHS = is_on
    used: list[str] = []
    find, render = MessageTemplates.find, FrameTemplate.render
    monkeypatch.setattr(MessageTemplates, "find", lambda *args: used.append("f") or find(*args))
    monkeypatch.setattr(FrameTemplate, "render", lambda *args: used.append("r") or render(*args))
    runs = [outgoing("any", number) for number in range(3)]

    result = publish(start(app), *runs)

    assert result.confirmed == [run.id for run in runs]
    assert used == (["f", "r"] * 3 if is_on else [])


def test_batches_are_published_without_waiting_for_each_other(start, app):
    publisher = start(app)
    batches = {number: [outgoing("any") for _ in range(40)] for number in range(100)}

    for number, runs in batches.items():
        publisher.submit(number, runs)
    wait_until(lambda: not publisher.in_flight)

    results = publisher.take_results()
    assert {result.batch_id: [*result.confirmed] for result in results} == {
        number: [run.id for run in runs] for number, runs in batches.items()
    }


def test_batch_submitted_twice_has_two_results(start, app):
    publisher = start(app)
    run = outgoing("any")

    publisher.submit(1, [run])
    publisher.submit(1, [run])
    wait_until(lambda: not publisher.in_flight)

    results = publisher.take_results()
    assert [(result.batch_id, result.confirmed) for result in results] == [(1, [run.id])] * 2


def test_failed_message_does_not_affect_others_of_its_batch(start, app, queue):
    good = [outgoing("any", n, options={"queue": f"{queue}.topic"}) for n in range(3)]
    wrong = {
        "no queue": outgoing("any", options={"exchange": f"{queue}.topic", "routing_key": "b"}),
        "no exchange": outgoing("any", options={"exchange": "none", "routing_key": "a"}),
        "another one": outgoing("any", options={"exchange": "nobody", "routing_key": "a"}),
        "not allowed": outgoing("any", options={"exchange": "amq.rabbitmq.trace",
                                                "routing_key": "a"}),
        "arguments": outgoing("add"),
        "too deep": outgoing("any", args="[" * 50_000 + "]" * 50_000),
        "no options": outgoing("any", options=[]),
        "unknown queue": outgoing("any", options={"queue": "nobody"}),
        "too long": outgoing("any", options={"exchange": "x", "routing_key": "ü" * 128}),
        "too large": outgoing("any", options={"headers": {"x-a": "x" * 200_000}}),
    }  # fmt: skip
    more = [outgoing("any", n) for n in range(3)]

    result = publish(start(app), *good, *wrong.values(), *more)

    assert sorted(result.confirmed) == sorted(run.id for run in (*good, *more))
    names = {run.id: name for name, run in wrong.items()}
    assert {names[run_id]: failure for run_id, failure in failures(result).items()} == {
        "no queue": PublishFailure.UNROUTABLE,
        "no exchange": PublishFailure.UNROUTABLE,
        "another one": PublishFailure.UNROUTABLE,
        "not allowed": PublishFailure.UNROUTABLE,
        "arguments": PublishFailure.REFUSED,
        "too deep": PublishFailure.REFUSED,
        "no options": PublishFailure.REFUSED,
        "unknown queue": PublishFailure.REFUSED,
        "too long": PublishFailure.REFUSED,
        "too large": PublishFailure.REFUSED,
    }
    reasons = {names[run_id]: reason for run_id, (_, reason) in result.failed.items()}
    assert "routes 'b' to no queue" in reasons["no queue"]
    assert "no exchange 'none'" in reasons["no exchange"]
    assert "255 bytes" in reasons["too long"]


def test_message_of_a_deleted_queue_is_unroutable(start, app, queue):
    publisher = start(app)
    assert publish(publisher, outgoing("any")).confirmed
    with app.connection_for_write() as connection:
        connection.default_channel.queue_delete(queue)
    run, other = outgoing("any"), outgoing("any", options={"queue": f"{queue}.topic"})

    result = publish(publisher, run, other)

    assert result.confirmed == [other.id]
    assert failures(result) == {run.id: PublishFailure.UNROUTABLE}
    assert f"no queue '{queue}'" in result.failed[run.id][1]


def test_queues_of_the_settings_are_declared_on_connect(start, app, queue):
    start(app)

    with app.connection_for_read() as connection:
        there = Queue(queue)(connection.default_channel).queue_declare(passive=True)
    assert there.message_count == 0


def test_queue_with_other_arguments_is_used_after_one_warning(start, app, queue, caplog):
    with app.connection_for_write() as connection:
        Queue(queue, Exchange(queue), queue, max_priority=3)(connection.default_channel).declare()
    publisher = start(app)

    for _ in range(2):
        assert publish(publisher, outgoing("any")).confirmed
    assert caplog.text.count("refused to declare the queue") == 1


def test_message_that_closes_the_channel_is_refused_on_the_second_try(start, app, monkeypatch):
    """RabbitMQ does not say which message it was: each is published again by itself."""
    monkeypatch.setattr(frames, "MAX_EXPIRATION_MILLISECONDS", 2**40)
    publisher = start(app)
    bad = outgoing("any", options=FAR_AWAY)
    good = [outgoing("any", n) for n in range(3)]

    first = publish(publisher, *good, bad)
    again = [run for run in (*good, bad) if run.id in first.failed]
    second = publish(publisher, *again)

    assert set(failures(first).values()) == {PublishFailure.UNANSWERED}
    assert bad in again
    assert failures(second) == {bad.id: PublishFailure.REFUSED}
    assert publish(publisher, *good).confirmed == [run.id for run in good]


def test_expiration_beyond_the_limit_of_rabbitmq_is_capped(start, app, queue):

    assert publish(start(app), outgoing("any", options=FAR_AWAY)).confirmed
    [message] = received(app, queue)
    assert message.properties["expiration"] == str(2**32 - 1)
    assert message.headers["expires"] == FAR_AWAY["expires"]


@pytest.mark.parametrize("signal", [signals.after_task_publish, signals.before_task_publish])
def test_publish_signals_reach_their_listeners(start, app, signal):
    publisher = start(app)
    sent_events: list[tuple[str, str]] = []

    def listen(sender: str, headers: dict[str, Any], **_: object) -> None:
        sent_events.append((sender, headers["id"]))

    signal.connect(listen)
    try:
        good, bad = outgoing("any"), outgoing("any", options={"exchange": "none",
                                                              "routing_key": "a"})  # fmt: skip
        assert publish(publisher, good, bad).confirmed == [good.id]
    finally:
        signal.disconnect(listen)

    sent = [("any", good.id), ("any", bad.id)]
    assert sent_events == (sent[:1] if signal is signals.after_task_publish else sent)


def test_event_task_sent_is_sent_with_task_send_sent_event(start, rabbitmq_url, queue):
    app = make_app(rabbitmq_url, queue=queue, task_send_sent_event=True)
    sent_events: list[dict[str, Any]] = []
    run = outgoing("any", 1)

    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"task-sent": sent_events.append})
        with receiver.consumer_context() as (connected, _, _):
            assert publish(start(app), run).confirmed
            while run.id not in {event["uuid"] for event in sent_events}:
                connected.drain_events(timeout=WAIT_SECONDS)

    [event] = [event for event in sent_events if event["uuid"] == run.id]
    assert (event["name"], event["queue"], event["args"]) == ("any", queue, "[1]")


def test_stock_worker_executes_a_published_message(start, rabbitmq_url, queue, monkeypatch):
    monkeypatch.setattr(Task, "before_start", lambda *_: None)  # as without our app
    # A worker checks once per heartbeat whether it must stop.
    app = make_app(rabbitmq_url, queue=queue, broker_heartbeat=2)
    done: list[Any] = []

    @app.task(name="note", shared=False, bind=True)
    def note(self: Any, *args: Any, **kwargs: Any) -> None:
        done.append((self.request.id, args, kwargs, self.request.periodic_task_name))
        wake()

    run = outgoing("note", 1, "ü", kwargs=json.dumps({"deep": {"a": [None]}}),
                   options={**FAR_AWAY, "priority": 1})  # fmt: skip
    assert publish(start(app), run).confirmed

    try:
        with start_worker(app, pool="solo", perform_ping_check=False, queues=[queue]):
            wait_until(lambda: done)
    finally:  # it has become the app of this process
        celery_app.set_current()
        celery_app.set_default()

    assert done == [(run.id, (1, "ü"), {"deep": {"a": [None]}}, "Example")]


# --- Failing connections ----------------------------------------------------------------------


@pytest.fixture
def short_timeouts(monkeypatch: Any) -> None:
    monkeypatch.setattr(rabbitmq_transport, "CONFIRM_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(publisher_module, "MIN_RECONNECT_DELAY", timedelta(seconds=0.1))
    monkeypatch.setattr(publisher_module, "POLL_SECONDS", 0.1)


def test_cut_connection_leaves_runs_unanswered_and_reconnects(
    start, proxied_app, proxy, short_timeouts, caplog
):
    publisher = start(proxied_app)
    assert publish(publisher, outgoing("any")).confirmed
    runs = [outgoing("any", n) for n in range(100)]

    proxy.freeze("down")
    publisher.submit(1, runs)
    wait_until(lambda: publisher.in_flight == 100)
    proxy.refuse()
    proxy.cut()
    wait_until(lambda: not publisher.is_ready)

    [result] = publisher.take_results()
    assert set(failures(result).values()) == {PublishFailure.UNANSWERED}
    assert len(result.failed) == 100
    assert publisher.trouble.startswith("RabbitMQ does not answer: ")
    assert failures(publish(publisher, runs[0])) == {runs[0].id: PublishFailure.UNANSWERED}

    proxy.thaw()
    proxy.refuse(False)
    wait_until(lambda: publisher.is_ready)
    assert publisher.trouble == ""
    assert len(publish(publisher, *runs).confirmed) == 100
    said = [record.message for record in caplog.records if record.name.endswith("publisher")]
    assert [line[:20] for line in said] == [
        "RabbitMQ accepts mes",
        "RabbitMQ does not an",
        "RabbitMQ accepts mes",
    ]


def test_frozen_connection_is_detected_by_unanswered_messages(
    start, proxied_app, proxy, short_timeouts
):
    publisher = start(proxied_app)
    proxy.freeze()

    result = publish(publisher, *(outgoing("any") for _ in range(10)))

    assert set(failures(result).values()) == {PublishFailure.UNANSWERED}
    wait_until(lambda: not publisher.is_ready)
    proxy.cut()
    proxy.thaw()
    wait_until(lambda: publisher.is_ready)
    assert publish(publisher, outgoing("any")).confirmed


def test_frozen_connection_is_detected_by_missing_heartbeats(
    start, proxied_app, proxy, short_timeouts, monkeypatch
):
    monkeypatch.setattr(connection, "HEARTBEAT_INTERVAL_SECONDS", 1)
    publisher = start(proxied_app)
    time.sleep(3)  # longer than it would take to miss two heartbeats
    assert publisher.is_ready

    proxy.freeze()

    wait_until(lambda: not publisher.is_ready)
    assert "No data was received for 2 seconds" in publisher.trouble


def test_unanswered_message_does_not_stop_other_batches(start, app, short_timeouts, monkeypatch):
    """A quorum queue without its majority behaves so."""
    unanswered = outgoing("any")
    monkeypatch.setattr(Channel, "acked", all_but(unanswered.id, Channel.acked))
    publisher = start(app)
    publisher.submit(1, [unanswered, outgoing("any")])
    results: dict[int, BatchResult] = {}

    for number in range(2, 1000):
        publisher.submit(number, [outgoing("any")])
        wait_until(lambda: publisher.in_flight <= 2)
        results |= {result.batch_id: result for result in publisher.take_results()}
        if 1 in results:
            break
        time.sleep(0.01)

    assert failures(results.pop(1)) == {unanswered.id: PublishFailure.UNANSWERED}
    assert all(result.confirmed for result in results.values())
    assert publisher.is_ready


def all_but(run_id: str, acked: Any) -> Any:
    """Return `acked` without the answers for one run."""

    def acked_but(channel: Channel, payload: bytes) -> list[Any]:
        entries = acked(channel, payload)
        for entry in entries:
            if entry[1] == run_id:
                channel.pending[-1] = entry
        return [entry for entry in entries if entry[1] != run_id]

    return acked_but


def test_blocked_broker_keeps_batches_in_flight(start, proxied_app, proxy, short_timeouts):
    publisher = start(proxied_app)
    assert publish(publisher, outgoing("any")).confirmed

    proxy.freeze("up")  # RabbitMQ reads nothing
    proxy.say(frame(METHOD, 0, b"\x00\x0a\x00\x3c\x0dlow on memory"))
    wait_until(lambda: not publisher.is_ready)
    run = outgoing("any")
    publisher.submit(1, [run])
    time.sleep(2)  # twice the timeout

    assert publisher.trouble == "RabbitMQ accepts no messages: low on memory"
    assert publisher.in_flight == 1
    proxy.thaw()
    proxy.say(frame(METHOD, 0, b"\x00\x0a\x00\x3d"))
    wait_until(lambda: not publisher.in_flight)
    assert [result.confirmed for result in publisher.take_results()] == [[run.id]]
    assert publisher.is_ready


def test_nacked_message_is_unanswered(start, app, queue):
    full = Queue(
        queue, Exchange(queue), queue,
        queue_arguments={"x-max-length": 1, "x-overflow": "reject-publish"},
    )  # fmt: skip
    app.conf.task_queues = [full]
    runs = [outgoing("any", n) for n in range(3)]

    result = publish(start(app), *runs)

    assert result.confirmed == [runs[0].id]
    assert set(failures(result).values()) == {PublishFailure.UNANSWERED}


def test_unreachable_broker_leaves_runs_unanswered(start, short_timeouts, caplog):
    publisher = start(make_app("amqp://guest:guest@127.0.0.1:1"), ready=False)
    wait_until(lambda: "does not answer" in publisher.trouble)

    run = outgoing("any")
    assert failures(publish(publisher, run)) == {run.id: PublishFailure.UNANSWERED}
    assert not publisher.is_ready
    assert caplog.text.count("does not answer") == 1


def test_second_host_of_the_url_is_tried(start, rabbitmq_url, queue):
    url = f"amqp://guest:guest@127.0.0.1:1;{rabbitmq_url}"

    assert publish(start(make_app(url, queue=queue)), outgoing("any")).confirmed


def test_close_publishes_submitted_runs(start, app):
    publisher = start(app)
    publisher.submit(1, [outgoing("any") for _ in range(1000)])

    publisher.close(WAIT_SECONDS)

    [result] = publisher.take_results()
    assert len(result.confirmed) == 1000


def test_close_gives_up_after_its_timeout(start, proxied_app, proxy):
    publisher = start(proxied_app)
    assert publish(publisher, outgoing("any")).confirmed
    proxy.freeze()
    publisher.submit(1, [outgoing("any")])

    publisher.close(0.2)

    [result] = publisher.take_results()
    assert set(failures(result).values()) == {PublishFailure.UNANSWERED}
    assert not publisher.is_alive()


def test_submit_after_close_is_unanswered(start, app):
    publisher = start(app)
    publisher.close(WAIT_SECONDS)
    run = outgoing("any")

    assert failures(publish(publisher, run)) == {run.id: PublishFailure.UNANSWERED}


def test_failing_transport_reconnects_and_is_logged_once(
    start, app, short_timeouts, monkeypatch, caplog
):
    publisher = start(app)
    with monkeypatch.context() as broken:
        broken.setattr(rabbitmq_transport.RabbitMQTransport, "poll", lambda *_, **__: 1 / 0)
        wait_until(lambda: "ZeroDivisionError" in publisher.trouble)
        run = outgoing("any")
        assert failures(publish(publisher, run)) == {run.id: PublishFailure.UNANSWERED}

    wait_until(lambda: publisher.is_ready)
    assert publish(publisher, run).confirmed
    assert caplog.text.count("connects again") == 1


def test_large_arguments_are_published_in_chunks(start, app, monkeypatch):
    monkeypatch.setattr(publisher_module, "MAX_CHUNK_CHARACTERS", 1000)
    runs = [outgoing("any", "x" * size) for size in (600, 600, 2000, 0, 0)]

    assert publish(start(app), *runs).confirmed == [run.id for run in runs]


# --- Other brokers ----------------------------------------------------------------------------


@pytest.fixture(params=["redis", "filesystem"])
def other_app(request: Any, tmp_path: Any) -> Iterator[tuple[Celery, str]]:
    name = f"test-{uuid.uuid4().hex}"
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        app = make_app(url, queue=name)
    else:
        names = ("data_folder_in", "data_folder_out", "control_folder")
        folders = dict.fromkeys(names, str(tmp_path))
        app = make_app("filesystem://", queue=name, broker_transport_options=folders)
    yield app, name
    if request.param == "redis":
        with app.connection_for_write() as connection:
            for queue in app.amqp.queues.values():
                connection.default_channel.client.delete(
                    queue.name, f"_kombu.binding.{queue.exchange.name}"
                )


def test_other_brokers_receive_the_same_messages(start, other_app):
    app, queue = other_app
    runs = [outgoing("any", number) for number in range(120)]
    wrong = outgoing("add")

    result = publish(start(app), *runs, wrong)

    assert result.confirmed == [run.id for run in runs]
    assert failures(result) == {wrong.id: PublishFailure.REFUSED}
    messages = received(app, queue)
    assert [message.headers["id"] for message in messages] == [run.id for run in runs]
    assert messages[0].headers["periodic_task_name"] == "Example"


def test_unreachable_other_broker_is_named(start, short_timeouts):
    publisher = start(make_app("redis://127.0.0.1:1"), ready=False)

    wait_until(lambda: publisher.trouble.startswith("The broker does not answer: "))
