"""The sender, with real receivers."""

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
from scheduler_api.webhooks import delivery_queue, sender
from scheduler_api.webhooks.concurrency import PER_WEBHOOK, THREADS
from scheduler_api.webhooks.delivery_queue import CLAIM_LEASE
from scheduler_api.webhooks.models import Delivery, Webhook
from scheduler_api.webhooks.retry_policy import JITTER, MAX_ATTEMPTS, RETRY_DELAYS
from scheduler_api.webhooks.sender import SEND_TIMEOUT_SECONDS, Sender
from tests.api.runs.examples import NOON
from tests.webhooks.examples import account, happened, task_of, to_be_sent, webhook_of
from tests.webhooks.receiver import Receiver, wait_for

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _loopback_is_open(settings: Any) -> None:
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


def let_all_end(sending: Sender, *, now: datetime) -> None:
    """Wait until what is on its way has ended, and note that."""
    while sending.limit.in_flight:
        sending.wait(10)
    sending.is_stopping = True  # takes nothing new
    sending.tick(now=now)
    sending.is_stopping = False


def deliver(sending: Sender, *, now: datetime = NOON) -> None:
    """Send what is due, and wait until that has ended."""
    sending.tick(now=now)
    let_all_end(sending, now=now)


# --- One delivery -----------------------------------------------------------------------------


def test_an_event_arrives_signed(sending: Sender, receiver: Receiver):
    owner = account()
    _, secret = webhook_of(owner, url=receiver.url)
    run = happened(task_of(owner), error_type="RuntimeError")

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
def test_what_is_not_taken_is_sent_again_later(sending: Sender, receiver: Receiver, status: int):
    receiver.answers = [status, 204]
    delivery = to_be_sent(webhook_of(account(), url=receiver.url)[0])

    deliver(sending)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("pending", 1, status)
    assert delivery.last_error == f"It answered with status {status}."
    assert RETRY_DELAYS[0] <= delivery.next_attempt_at - NOON <= RETRY_DELAYS[0] * (1 + JITTER)
    deliver(sending, now=NOON + SECOND)
    assert len(receiver.received) == 1

    deliver(sending, now=NOON + 10 * SECOND)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.last_error) == ("delivered", 2, "")
    first, second = receiver.received
    assert first.id == second.id
    assert first.body == second.body


def test_a_receiver_that_is_busy_says_when_to_come_again(sending: Sender, receiver: Receiver):
    receiver.answers, receiver.headers = [503], {"Retry-After": "3600"}
    delivery = to_be_sent(webhook_of(account(), url=receiver.url)[0])

    deliver(sending)

    delivery.refresh_from_db()
    assert delivery.next_attempt_at >= NOON + timedelta(hours=1)


def test_a_redirect_is_not_followed(sending: Sender, receiver: Receiver):
    with Receiver() as other:
        receiver.answers, receiver.headers = [307], {"Location": other.url}
        to_be_sent(webhook_of(account(), url=receiver.url)[0])

        deliver(sending)

    assert len(receiver.received) == 1
    assert not other.received


def test_after_its_last_attempt_it_is_dead_and_the_webhook_disabled(
    sending: Sender, receiver: Receiver
):
    receiver.answers = [500]
    webhook, _ = webhook_of(account(), url=receiver.url)
    delivery = to_be_sent(webhook)
    now = NOON
    for _ in range(MAX_ATTEMPTS):
        deliver(sending, now=now)
        now += RETRY_DELAYS[-1] * 2

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("dead", MAX_ATTEMPTS)
    assert (delivery.last_error, delivery.next_attempt_at) == (
        "It answered with status 500.",
        None,
    )
    assert len(receiver.received) == MAX_ATTEMPTS
    webhook.refresh_from_db()
    assert not webhook.enabled
    assert webhook.disabled_at is not None
    assert "Nothing has arrived for two days" in webhook.disabled_reason
    assert "status 500" in webhook.disabled_reason


def test_a_webhook_to_which_others_arrive_is_not_disabled(sending: Sender, receiver: Receiver):
    receiver.answers = [500]
    webhook, _ = webhook_of(account(), url=receiver.url)
    delivery = to_be_sent(webhook, attempts=MAX_ATTEMPTS - 1)
    to_be_sent(webhook, state="delivered", delivered_at=NOON + SECOND, next_attempt_at=None)

    deliver(sending)

    delivery.refresh_from_db()
    webhook.refresh_from_db()
    assert delivery.state == "dead"
    assert webhook.enabled


def test_one_that_is_gone_is_disabled_at_once_and_what_waits_for_it_waits(
    sending: Sender, receiver: Receiver
):
    receiver.answers = [410]
    webhook, _ = webhook_of(account(), url=receiver.url)
    delivery = to_be_sent(webhook)
    later = to_be_sent(webhook, next_attempt_at=NOON + SECOND)

    deliver(sending)
    deliver(sending, now=NOON + 2 * SECOND)

    for row in (delivery, later, webhook):
        row.refresh_from_db()
    assert (delivery.state, later.state, webhook.enabled) == ("dead", "pending", False)
    assert "410 Gone" in webhook.disabled_reason
    assert len(receiver.received) == 1


def test_nothing_is_sent_to_a_webhook_that_is_disabled(sending: Sender, receiver: Receiver):
    to_be_sent(webhook_of(account(), url=receiver.url, enabled=False)[0])

    deliver(sending)

    assert not receiver.received


# --- Where it may not go ----------------------------------------------------------------------


def test_an_address_that_is_private_by_now_is_not_called(
    sending: Sender, receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
):
    """It was public when the webhook was made: names change."""
    settings.OUTGOING_PRIVATE_ADDRESSES = []
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: ["127.0.0.1"])
    url = f"http://rebinding.example:{receiver.port}/"
    delivery = to_be_sent(webhook_of(account(), url=url)[0])

    deliver(sending)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("pending", 1, None)
    assert "rebinding.example leads to an address that is not public" in delivery.last_error
    assert not receiver.received


def test_a_receiver_that_is_away_is_tried_again(sending: Sender):
    with Receiver() as gone:
        url = gone.url
    delivery = to_be_sent(webhook_of(account(), url=url)[0])

    deliver(sending)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.last_status) == ("pending", None)
    assert delivery.last_error == "The connection failed: Connection refused."


def test_an_error_of_ours_is_one_attempt_and_no_end(
    sending: Sender, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sender, "send", fail)
    delivery = to_be_sent(webhook_of(account())[0])

    deliver(sending)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.last_error) == (
        "pending",
        "An error of ours: ZeroDivisionError.",
    )
    assert "raised an unexpected error" in caplog.text


def test_a_webhook_whose_key_is_lost_is_disabled_and_told_why(
    sending: Sender, receiver: Receiver, settings: Any
):
    webhook, _ = webhook_of(account(), url=receiver.url)
    delivery = to_be_sent(webhook)
    settings.SECRET_KEY = "another" * 10

    deliver(sending)

    webhook.refresh_from_db()
    delivery.refresh_from_db()
    assert (webhook.enabled, delivery.state) == (False, "pending")
    assert "SECRET_KEY" in webhook.disabled_reason
    assert not receiver.received


def test_for_some_time_two_secrets_sign(sending: Sender, receiver: Receiver):
    now = datetime.now(UTC)
    webhook, before = webhook_of(account(), url=receiver.url)
    webhook.previous_salt, webhook.previous_key_id = webhook.salt, webhook.key_id
    webhook.previous_until = now + timedelta(hours=1)
    after = webhook.take_new_secret()
    webhook.save()
    to_be_sent(webhook, next_attempt_at=now)

    deliver(sending, now=now)

    [request] = receiver.received
    assert request.is_signed_with(before)
    assert request.is_signed_with(after)


# --- Several ----------------------------------------------------------------------------------


def test_one_that_is_slow_holds_up_nobody_else(sending: Sender, receiver: Receiver):
    """It has a backlog that is older than all else, and more of it than there are threads."""
    with Receiver(hold=threading.Event()) as slow:
        behind = webhook_of(account(), url=slow.url)[0]
        for _ in range(2 * THREADS):
            to_be_sent(behind, next_attempt_at=NOON - timedelta(hours=1))
        quick = webhook_of(account("quick"), url=receiver.url)[0]
        for _ in range(10):
            to_be_sent(quick)

        def tell() -> bool:
            sending.tick(now=NOON)
            sending.wait(0.02)
            return len(receiver.received) == 10

        wait_for(tell)
        assert len(slow.received) == PER_WEBHOOK
        assert slow.hold is not None
        slow.hold.set()
        let_all_end(sending, now=NOON)

    assert Delivery.objects.filter(webhook=quick, state="delivered").count() == 10


def test_those_that_fail_leave_room_for_one_that_answers(sending: Sender, receiver: Receiver):
    with Receiver() as gone:
        url = gone.url
    owner = account()
    for number in range(2 * THREADS):
        failing = webhook_of(owner, url=url)[0]
        sending.limit.failing.add(failing.pk)
        to_be_sent(failing, next_attempt_at=NOON - (number + 1) * SECOND)
    to_be_sent(webhook_of(owner, url=receiver.url)[0])

    def tell() -> bool:
        sending.tick(now=NOON)
        sending.wait(0.02)
        return bool(receiver.received)

    wait_for(tell)
    let_all_end(sending, now=NOON)


def test_what_one_sender_has_taken_another_does_not_send(sending: Sender, receiver: Receiver):
    receiver.hold = threading.Event()
    delivery = to_be_sent(webhook_of(account(), url=receiver.url)[0])
    sending.tick(now=NOON)
    other = Sender()
    other.tick(now=NOON + CLAIM_LEASE - SECOND)

    assert not other.limit.in_flight
    delivery.refresh_from_db()
    assert (delivery.attempts, delivery.next_attempt_at) == (1, NOON + CLAIM_LEASE)
    receiver.hold.set()
    let_all_end(sending, now=NOON)
    other.threads.shutdown()
    assert len(receiver.received) == 1


def test_what_a_sender_had_that_died_another_sends_under_the_same_id(
    sending: Sender, receiver: Receiver
):
    webhook, _ = webhook_of(account(), url=receiver.url)
    delivery = to_be_sent(webhook, attempts=1, next_attempt_at=NOON + CLAIM_LEASE)

    deliver(sending, now=NOON + CLAIM_LEASE)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("delivered", 2)
    assert [request.id for request in receiver.received] == [delivery.event_id]


def test_the_end_of_an_attempt_that_another_has_overtaken_is_not_written_down(
    sending: Sender, receiver: Receiver
):
    delivery = to_be_sent(webhook_of(account(), url=receiver.url)[0])
    sending.tick(now=NOON)
    Delivery.objects.update(attempts=0, next_attempt_at=NOON)  # asked for again meanwhile

    let_all_end(sending, now=NOON)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("pending", 0)


def test_one_whose_webhook_is_deleted_meanwhile_is_forgotten(sending: Sender, receiver: Receiver):
    webhook, _ = webhook_of(account(), url=receiver.url)
    to_be_sent(webhook)
    sending.tick(now=NOON)
    webhook.delete()

    let_all_end(sending, now=NOON)

    assert not Delivery.objects.exists()
    assert not Webhook.objects.exists()


def test_nothing_is_locked_longer_than_sending_takes():
    assert 2 * timedelta(seconds=SEND_TIMEOUT_SECONDS) < CLAIM_LEASE


# --- As a process -----------------------------------------------------------------------------


def test_it_waits_for_a_database_that_is_away(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(sender, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(sender.connection, "close", lambda: None)
    webhook, _ = webhook_of(account(), url=receiver.url)
    to_be_sent(webhook, next_attempt_at=datetime.now(UTC))
    sending = Sender()
    failures = iter(["away"] * 3)
    note = delivery_queue.record_attempt

    def fail_at_first(*arguments: Any, **named: Any) -> Any:
        if next(failures, None):
            raise OperationalError("it is away")
        sending.stop()
        return note(*arguments, **named)

    monkeypatch.setattr(delivery_queue, "record_attempt", fail_at_first)

    sending.run()

    assert Delivery.objects.get().state == "delivered"
    assert len(receiver.received) == 1
    assert caplog.text.count("The database does not answer") == 3


def test_asked_to_stop_it_ends_when_what_is_on_its_way_has_arrived(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    receiver.hold = threading.Event()
    webhook, _ = webhook_of(account(), url=receiver.url)
    to_be_sent(webhook, next_attempt_at=datetime.now(UTC))
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


def test_asked_twice_it_ends_at_once():
    sending = Sender()
    sending.stop()

    with pytest.raises(SystemExit):
        sending.stop()

    sending.threads.shutdown()


def test_with_nothing_to_do_it_asks_two_questions(sending: Sender, django_assert_num_queries: Any):
    webhook_of(account())

    with django_assert_num_queries(2):
        sending.tick(now=NOON)
