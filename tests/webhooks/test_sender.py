"""The webhook sender, with real receivers."""

import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError

from scheduler_api.outbound import address_guard
from scheduler_api.webhooks import concurrency, delivery_queue, sender
from scheduler_api.webhooks.concurrency import PER_WEBHOOK, THREADS
from scheduler_api.webhooks.delivery_queue import CLAIM_LEASE
from scheduler_api.webhooks.models import Delivery, Webhook
from scheduler_api.webhooks.retry_policy import JITTER, MAX_ATTEMPTS, RETRY_DELAYS
from scheduler_api.webhooks.sender import SEND_TIMEOUT_SECONDS, Sender
from tests.api.runs.examples import NOON
from tests.webhooks.examples import account, due_delivery, store_event, task_of, webhook_of
from tests.webhooks.receiver import Receiver, wait_for

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _allow_loopback(settings: Any) -> None:
    settings.OUTGOING_PRIVATE_ADDRESSES = [ip_network("127.0.0.0/8")]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def sending() -> Iterator[Sender]:
    sending = Sender()
    yield sending
    sending.threads.shutdown()


def finish_all(sending: Sender, *, now: datetime) -> None:
    """Wait until all attempts in flight have finished, and record them."""
    while sending.limit.in_flight:
        sending.wait(10)
    sending.is_stopping = True  # claims nothing new
    sending.tick(now=now)
    sending.is_stopping = False


def deliver(sending: Sender, *, now: datetime = NOON) -> None:
    """Send due deliveries, and wait until they have finished."""
    sending.tick(now=now)
    finish_all(sending, now=now)


# --- One delivery -----------------------------------------------------------------------------


def test_event_arrives_signed(sending: Sender, receiver: Receiver):
    owner = account()
    _, secret = webhook_of(owner, url=receiver.url)
    run = store_event(task_of(owner), error_type="RuntimeError")

    deliver(sending, now=datetime.now(UTC))

    [request] = receiver.received
    assert (request.method, request.path) == ("POST", "/hook")
    assert request.headers["content-type"] == "application/json"
    assert request.is_signed_with(secret)
    assert request.json["type"] == "run.failed"
    assert request.json["data"]["id"] == str(run.pk)
    delivery = Delivery.objects.get()
    assert (delivery.event_id, delivery.payload) == (request.id, request.body.decode())
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 1, 204)
    assert (delivery.last_error, delivery.next_attempt_at) == ("", None)
    assert delivery.delivered_at is not None


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
def test_delivery_with_error_status_is_retried_later(
    sending: Sender, receiver: Receiver, status: int
):
    receiver.answers = [status, 204]
    delivery = due_delivery(webhook_of(account(), url=receiver.url)[0])

    deliver(sending)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("pending", 1, status)
    assert delivery.last_error == f"The receiver answered with status {status}."
    assert RETRY_DELAYS[0] <= delivery.next_attempt_at - NOON <= RETRY_DELAYS[0] * (1 + JITTER)
    deliver(sending, now=NOON + SECOND)
    assert len(receiver.received) == 1

    deliver(sending, now=NOON + 10 * SECOND)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.last_error) == ("delivered", 2, "")
    first, second = receiver.received
    assert first.id == second.id
    assert first.body == second.body


def test_retry_after_header_delays_the_next_attempt(sending: Sender, receiver: Receiver):
    receiver.answers, receiver.headers = [503], {"Retry-After": "3600"}
    delivery = due_delivery(webhook_of(account(), url=receiver.url)[0])

    deliver(sending)

    delivery.refresh_from_db()
    assert delivery.next_attempt_at >= NOON + timedelta(hours=1)


def test_redirect_is_not_followed(sending: Sender, receiver: Receiver):
    with Receiver() as other:
        receiver.answers, receiver.headers = [307], {"Location": other.url}
        due_delivery(webhook_of(account(), url=receiver.url)[0])

        deliver(sending)

    assert len(receiver.received) == 1
    assert not other.received


def test_delivery_is_dead_after_its_last_attempt_and_its_webhook_disabled(
    sending: Sender, receiver: Receiver
):
    receiver.answers = [500]
    webhook, _ = webhook_of(account(), url=receiver.url)
    delivery = due_delivery(webhook)
    now = NOON
    for _ in range(MAX_ATTEMPTS):
        deliver(sending, now=now)
        now += RETRY_DELAYS[-1] * 2

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("dead", MAX_ATTEMPTS)
    assert (delivery.last_error, delivery.next_attempt_at) == (
        "The receiver answered with status 500.",
        None,
    )
    assert len(receiver.received) == MAX_ATTEMPTS
    webhook.refresh_from_db()
    assert not webhook.enabled
    assert webhook.disabled_at is not None
    assert "No delivery has arrived for two days" in webhook.disabled_reason
    assert "status 500" in webhook.disabled_reason


def test_webhook_with_another_arrival_is_not_disabled(sending: Sender, receiver: Receiver):
    receiver.answers = [500]
    webhook, _ = webhook_of(account(), url=receiver.url)
    delivery = due_delivery(webhook, attempts=MAX_ATTEMPTS - 1)
    due_delivery(webhook, state="delivered", delivered_at=NOON + SECOND, next_attempt_at=None)

    deliver(sending)

    delivery.refresh_from_db()
    webhook.refresh_from_db()
    assert delivery.state == "dead"
    assert webhook.enabled


def test_webhook_that_answers_410_is_disabled_and_its_deliveries_stay_pending(
    sending: Sender, receiver: Receiver
):
    receiver.answers = [410]
    webhook, _ = webhook_of(account(), url=receiver.url)
    delivery = due_delivery(webhook)
    later = due_delivery(webhook, next_attempt_at=NOON + SECOND)

    deliver(sending)
    deliver(sending, now=NOON + 2 * SECOND)

    for row in (delivery, later, webhook):
        row.refresh_from_db()
    assert (delivery.state, later.state, webhook.enabled) == ("dead", "pending", False)
    assert "410 Gone" in webhook.disabled_reason
    assert len(receiver.received) == 1


def test_disabled_webhook_gets_no_delivery(sending: Sender, receiver: Receiver):
    due_delivery(webhook_of(account(), url=receiver.url, enabled=False)[0])

    deliver(sending)

    assert not receiver.received


# --- Refused addresses and failures -------------------------------------------------------------


def test_host_that_now_resolves_to_a_private_address_is_refused(
    sending: Sender, receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
):
    """The host was public when the webhook was created: DNS records change."""
    settings.OUTGOING_PRIVATE_ADDRESSES = []
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: ["127.0.0.1"])
    url = f"http://rebinding.example:{receiver.port}/"
    delivery = due_delivery(webhook_of(account(), url=url)[0])

    deliver(sending)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("pending", 1, None)
    assert "rebinding.example has an address that is not public" in delivery.last_error
    assert not receiver.received


def test_delivery_to_an_unreachable_receiver_is_retried(sending: Sender):
    with Receiver() as gone:
        url = gone.url
    delivery = due_delivery(webhook_of(account(), url=url)[0])

    deliver(sending)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.last_status) == ("pending", None)
    assert delivery.last_error == "The connection failed: Connection refused."


def test_internal_error_counts_as_one_attempt(
    sending: Sender, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sender, "send", fail)
    delivery = due_delivery(webhook_of(account())[0])

    deliver(sending)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.last_error) == (
        "pending",
        "Internal error: ZeroDivisionError.",
    )
    assert "raised an unexpected error" in caplog.text


def test_webhook_with_unknown_secret_key_is_disabled_with_the_reason(
    sending: Sender, receiver: Receiver, settings: Any
):
    webhook, _ = webhook_of(account(), url=receiver.url)
    delivery = due_delivery(webhook)
    settings.SECRET_KEY = "another" * 10

    deliver(sending)

    webhook.refresh_from_db()
    delivery.refresh_from_db()
    assert (webhook.enabled, delivery.state) == (False, "pending")
    assert "SECRET_KEY" in webhook.disabled_reason
    assert not receiver.received


def test_previous_secret_also_signs_after_a_rotation(sending: Sender, receiver: Receiver):
    now = datetime.now(UTC)
    webhook, before = webhook_of(account(), url=receiver.url)
    webhook.previous_salt, webhook.previous_key_id = webhook.salt, webhook.key_id
    webhook.previous_until = now + timedelta(hours=1)
    after = webhook.renew_secret()
    webhook.save()
    due_delivery(webhook, next_attempt_at=now)

    deliver(sending, now=now)

    [request] = receiver.received
    assert request.is_signed_with(before)
    assert request.is_signed_with(after)


# --- Several webhooks and senders -------------------------------------------------------------


def test_slow_receiver_does_not_delay_others(sending: Sender, receiver: Receiver):
    """Its backlog is older than all other deliveries, and larger than the number of threads."""
    with Receiver(hold=threading.Event()) as slow:
        behind = webhook_of(account(), url=slow.url)[0]
        for _ in range(2 * THREADS):
            due_delivery(behind, next_attempt_at=NOON - timedelta(hours=1))
        quick = webhook_of(account("quick"), url=receiver.url)[0]
        for _ in range(10):
            due_delivery(quick)

        def is_finished() -> bool:
            sending.tick(now=NOON)
            sending.wait(0.02)
            return len(receiver.received) == 10

        wait_for(is_finished)
        assert len(slow.received) == PER_WEBHOOK
        assert slow.hold is not None
        slow.hold.set()
        finish_all(sending, now=NOON)

    assert Delivery.objects.filter(webhook=quick, state="delivered").count() == 10


def test_owner_of_many_slow_webhooks_does_not_delay_others(sending: Sender, receiver: Receiver):
    """All its webhooks together could hold all threads, and its backlog is older."""
    with Receiver(hold=threading.Event()) as slow:
        for _ in range(2 * THREADS):
            behind = webhook_of(account("hostile"), url=slow.url)[0]
            for _ in range(10):
                due_delivery(behind, next_attempt_at=NOON - timedelta(hours=1))
        sending.tick(now=NOON)
        wait_for(lambda: len(slow.received) == THREADS // 2)
        quick = webhook_of(account("quick"), url=receiver.url)[0]
        for number in range(30):
            due_delivery(quick)

            def is_delivered(count: int = number + 1) -> bool:
                sending.tick(now=NOON)
                sending.wait(0.02)
                return len(receiver.received) == count

            wait_for(is_delivered)
        assert len(slow.received) == THREADS // 2
        assert slow.hold is not None
        slow.hold.set()
        finish_all(sending, now=NOON)


def test_slow_success_counts_against_its_webhook(
    sending: Sender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    webhook, _ = webhook_of(account(), url=receiver.url)
    due_delivery(webhook)
    monkeypatch.setattr(concurrency, "SLOW", timedelta(0))

    deliver(sending)

    assert sending.limit.throttled == {webhook.pk}
    assert Delivery.objects.get().state == "delivered"


def test_failing_webhooks_leave_capacity_for_one_that_answers(sending: Sender, receiver: Receiver):
    with Receiver() as gone:
        url = gone.url
    owner = account()
    for number in range(2 * THREADS):
        failing = webhook_of(owner, url=url)[0]
        sending.limit.throttled.add(failing.pk)
        due_delivery(failing, next_attempt_at=NOON - (number + 1) * SECOND)
    due_delivery(webhook_of(owner, url=receiver.url)[0])

    def is_finished() -> bool:
        sending.tick(now=NOON)
        sending.wait(0.02)
        return bool(receiver.received)

    wait_for(is_finished)
    finish_all(sending, now=NOON)


def test_delivery_claimed_by_one_sender_is_not_sent_by_another(
    sending: Sender, receiver: Receiver
):
    receiver.hold = threading.Event()
    delivery = due_delivery(webhook_of(account(), url=receiver.url)[0])
    sending.tick(now=NOON)
    other = Sender()
    other.tick(now=NOON + CLAIM_LEASE - SECOND)

    assert not other.limit.in_flight
    delivery.refresh_from_db()
    assert (delivery.attempts, delivery.next_attempt_at) == (1, NOON + CLAIM_LEASE)
    receiver.hold.set()
    finish_all(sending, now=NOON)
    other.threads.shutdown()
    assert len(receiver.received) == 1


def test_delivery_of_a_dead_sender_is_sent_by_another_under_the_same_id(
    sending: Sender, receiver: Receiver
):
    webhook, _ = webhook_of(account(), url=receiver.url)
    delivery = due_delivery(webhook, attempts=1, next_attempt_at=NOON + CLAIM_LEASE)

    deliver(sending, now=NOON + CLAIM_LEASE)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("delivered", 2)
    assert [request.id for request in receiver.received] == [delivery.event_id]


def test_result_of_a_superseded_attempt_is_not_recorded(sending: Sender, receiver: Receiver):
    delivery = due_delivery(webhook_of(account(), url=receiver.url)[0])
    sending.tick(now=NOON)
    Delivery.objects.update(attempts=0, next_attempt_at=NOON)  # requested again meanwhile

    finish_all(sending, now=NOON)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("pending", 0)


def test_delivery_whose_webhook_is_deleted_during_the_attempt_is_dropped(
    sending: Sender, receiver: Receiver
):
    webhook, _ = webhook_of(account(), url=receiver.url)
    due_delivery(webhook)
    sending.tick(now=NOON)
    webhook.delete()

    finish_all(sending, now=NOON)

    assert not Delivery.objects.exists()
    assert not Webhook.objects.exists()


def test_claim_lease_exceeds_twice_the_send_timeout():
    assert 2 * timedelta(seconds=SEND_TIMEOUT_SECONDS) < CLAIM_LEASE


# --- As a process -----------------------------------------------------------------------------


def test_sender_waits_for_an_unavailable_database(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(sender, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(sender.connection, "close", lambda: None)
    webhook, _ = webhook_of(account(), url=receiver.url)
    due_delivery(webhook, next_attempt_at=datetime.now(UTC))
    sending = Sender()
    failures = iter(["unavailable"] * 3)
    record_attempt = delivery_queue.record_attempt

    def fail_at_first(*arguments: Any, **named: Any) -> Any:
        if next(failures, None):
            raise OperationalError("unavailable")
        sending.stop()
        return record_attempt(*arguments, **named)

    monkeypatch.setattr(delivery_queue, "record_attempt", fail_at_first)

    sending.run()

    assert Delivery.objects.get().state == "delivered"
    assert len(receiver.received) == 1
    assert caplog.text.count("The database does not answer") == 3


def test_stopping_sender_finishes_attempts_in_flight(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    receiver.hold = threading.Event()
    webhook, _ = webhook_of(account(), url=receiver.url)
    due_delivery(webhook, next_attempt_at=datetime.now(UTC))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop_in_the_middle() -> None:
        wait_for(lambda: bool(receiver.received))
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.1)
        assert receiver.hold is not None
        receiver.hold.set()

    thread = threading.Thread(target=stop_in_the_middle)
    thread.start()
    try:
        call_command("deliver_webhooks")
    finally:
        thread.join()
        for number, handler in before.items():
            signal.signal(number, handler)

    assert Delivery.objects.get().state == "delivered"


def test_second_stop_exits_at_once():
    sending = Sender()
    sending.stop()

    with pytest.raises(SystemExit):
        sending.stop()

    sending.threads.shutdown()


def test_idle_tick_takes_two_queries(sending: Sender, django_assert_num_queries: Any):
    webhook_of(account())

    with django_assert_num_queries(2):
        sending.tick(now=NOON)
