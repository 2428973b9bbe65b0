"""The publisher on RabbitMQ."""

import json
from typing import Any

import pytest
from celery import Task, signals
from celery.contrib.testing.worker import start_worker
from kombu import Exchange, Queue

from project import celery_app
from scheduler_api.broker import frames, queue_declaration
from scheduler_api.broker.frames import FrameTemplate
from scheduler_api.broker.message_templates import MessageTemplates
from scheduler_api.broker.outgoing import PublishFailure
from tests.broker.publishing import WAIT_SECONDS, failures, publish, received, wait_until, wake
from tests.scheduler.examples import make_app, outgoing

FAR_AWAY = {"expires": "2100-01-01T00:00:00+00:00"}


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


def test_queue_with_other_arguments_is_used_and_reported_until_mended(
    start, app, queue, caplog, monkeypatch
):
    monkeypatch.setattr(queue_declaration, "RECHECK_SECONDS", 0)
    with app.connection_for_write() as connection:
        other = Queue(queue, Exchange(queue), queue, max_priority=3)(connection.default_channel)
        other.declare()
        publisher = start(app)
        for _ in range(2):
            assert publish(publisher, outgoing("any")).confirmed

        [mismatch] = publisher.queue_mismatches
        assert (mismatch.queue, mismatch.argument) == (queue, "x-max-priority")
        assert (mismatch.there, mismatch.ours) == ("3", "not set")
        assert caplog.text.count("exists with other arguments") == 1

        other.delete()
    wait_until(lambda: not publisher.queue_mismatches)
    assert publish(publisher, outgoing("any")).confirmed


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
