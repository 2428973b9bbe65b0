"""The publisher on connections to RabbitMQ that fail, and its end."""

import time
from typing import Any

from kombu import Exchange, Queue

from scheduler_api.broker import connection, rabbitmq_transport
from scheduler_api.broker import publisher as publisher_module
from scheduler_api.broker.channels import Channel
from scheduler_api.broker.frames import METHOD, frame
from scheduler_api.broker.outgoing import BatchResult, PublishFailure
from tests.broker.publishing import WAIT_SECONDS, failures, publish, wait_until
from tests.scheduler.examples import make_app, outgoing


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
    assert publisher.publish_error.startswith("RabbitMQ does not answer: ")
    assert failures(publish(publisher, runs[0])) == {runs[0].id: PublishFailure.UNANSWERED}

    proxy.thaw()
    proxy.refuse(False)
    wait_until(lambda: publisher.is_ready)
    assert publisher.publish_error == ""
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
    assert "No data was received for 2 seconds" in publisher.publish_error


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

    assert publisher.publish_error == "RabbitMQ accepts no messages: low on memory"
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
    wait_until(lambda: "does not answer" in publisher.publish_error)

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
        wait_until(lambda: "ZeroDivisionError" in publisher.publish_error)
        run = outgoing("any")
        assert failures(publish(publisher, run)) == {run.id: PublishFailure.UNANSWERED}

    wait_until(lambda: publisher.is_ready)
    assert publish(publisher, run).confirmed
    assert caplog.text.count("connects again") == 1


def test_large_arguments_are_published_in_chunks(start, app, monkeypatch):
    monkeypatch.setattr(publisher_module, "MAX_CHUNK_CHARACTERS", 1000)
    runs = [outgoing("any", "x" * size) for size in (600, 600, 2000, 0, 0)]

    assert publish(start(app), *runs).confirmed == [run.id for run in runs]
