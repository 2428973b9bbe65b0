"""The webhook sender, a process of its own; any number of senders share the work.

Only the main thread uses the database. The other threads only send requests, so that a slow
receiver delays neither beat nor a worker, and other receivers no more than `ConcurrencyLimit`
allows.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from django.db import DatabaseError, InterfaceError, connection

from scheduler_api.backoff import backoff
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.outbound.address_guard import AddressRefused
from scheduler_api.outbound.client import RequestNotSent, is_success, send
from scheduler_api.webhooks import delivery_queue, signing
from scheduler_api.webhooks.concurrency import THREADS, ConcurrencyLimit, Recipient
from scheduler_api.webhooks.fan_out import fan_out
from scheduler_api.webhooks.models import Delivery
from scheduler_api.webhooks.retry_policy import AttemptResult, DeliveryDecision, retry_after_in

SEND_TIMEOUT_SECONDS = 15
IDLE_SECONDS = 1.0
FIRST_BACKOFF, MAX_BACKOFF = timedelta(seconds=1), timedelta(seconds=30)
# After a request to stop: enough for attempts in flight to end and be recorded.
STOP_TIMEOUT_SECONDS = 2 * SEND_TIMEOUT_SECONDS

logger = EventLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Message:
    """A request to send, for a thread, which must not use the database."""

    url: str
    body: bytes
    headers: dict[str, str]


class Sender:
    """Turns events into deliveries and sends them."""

    def __init__(self) -> None:
        self.limit = ConcurrencyLimit()
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook")
        self.finished: SimpleQueue[tuple[Delivery, AttemptResult] | None] = SimpleQueue()
        self.unrecorded: list[tuple[Delivery, AttemptResult]] = []
        self.is_stopping = False
        self.stop_by = 0.0

    def run(self) -> None:
        """Send until asked to stop; retry with back-off while the database is unavailable."""
        failures = 0  # consecutive failures of the database
        while not self.is_done():
            try:
                self.tick(now=datetime.now(UTC))
                failures = 0
            except (DatabaseError, InterfaceError) as error:
                failures += 1
                delay = backoff(failures, first=FIRST_BACKOFF, longest=MAX_BACKOFF).total_seconds()
                logger.warning(
                    LogEvent.DATABASE_UNAVAILABLE,
                    "The database does not answer, trying again in %(retry_in_seconds)g s: "
                    "%(error)s",
                    retry_in_seconds=delay,
                    error=in_one_line(error),
                )
                connection.close()
                self.wait(delay, is_backing_off=True)
                continue
            self.wait(IDLE_SECONDS)
        self.threads.shutdown(wait=False, cancel_futures=True)
        if self.unrecorded or self.limit.in_flight:
            logger.warning(
                LogEvent.DELIVERIES_UNRECORDED,
                "Deliveries under way are sent again: their outcome was not recorded",
            )

    def is_done(self) -> bool:
        """Return whether the sender is stopping and has no work left, or no time for it."""
        is_idle = not self.unrecorded and not self.limit.in_flight
        return self.is_stopping and (is_idle or time.monotonic() > self.stop_by)

    def stop(self, *_: object) -> None:
        """Start no new attempts and exit when those in flight have ended; a second call exits."""
        if self.is_stopping:
            raise SystemExit(1)
        self.is_stopping, self.stop_by = True, time.monotonic() + STOP_TIMEOUT_SECONDS
        self.finished.put(None)  # wakes the main thread

    def tick(self, *, now: datetime) -> None:
        """Record finished attempts and start due ones."""
        while self.unrecorded:
            self.record(*self.unrecorded[0], now=now)
            del self.unrecorded[0]
        if not self.is_stopping:
            fan_out(now=now)
            self.start_due(now=now)

    def start_due(self, *, now: datetime) -> None:
        """Submit due deliveries to the threads, within the concurrency limit."""
        for delivery in delivery_queue.claim_due(now, limit=self.limit):
            secrets = delivery.webhook.signing_secrets(now=now)
            if not secrets:
                reason = delivery_queue.UNREADABLE_REASON
                delivery_queue.disable(delivery.webhook_id, reason, now=now)
                logger.error(
                    LogEvent.WEBHOOK_SECRET_UNREADABLE,
                    "Webhook %(webhook_id)d: %(reason)s",
                    webhook_id=delivery.webhook_id,
                    reason=reason,
                )
                continue
            body = delivery.payload.encode()
            message = Message(
                url=delivery.webhook.url,
                body=body,
                headers=signing.headers_for(
                    body, event_id=delivery.event_id, at=now, signed_with=secrets
                ),
            )
            self.limit.enter(recipient_of(delivery))
            self.threads.submit(self.attempt, delivery, message)

    def attempt(self, delivery: Delivery, message: Message) -> None:
        """Send a message, in a thread, and pass the result to the main thread."""
        started = time.monotonic()
        try:
            result = send_message(message)
        except Exception as error:
            logger.exception(
                LogEvent.DELIVERY_FAILED,
                "The attempt to deliver %(event_id)s raised an unexpected error",
                event_id=delivery.event_id,
                webhook_id=delivery.webhook_id,
            )
            result = AttemptResult(error=f"Internal error: {type(error).__name__}.")
        duration = timedelta(seconds=time.monotonic() - started)
        self.finished.put((delivery, replace(result, duration=duration)))

    def wait(self, seconds: float, *, is_backing_off: bool = False) -> None:
        """Wait until an attempt has finished, at most `seconds`; a back-off waits all of them."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                finished = self.finished.get(timeout=max(deadline - time.monotonic(), 0))
            except Empty:
                return
            self.collect(finished)
            while not self.finished.empty():
                self.collect(self.finished.get())
            if not is_backing_off or self.is_stopping:
                return

    def collect(self, finished: tuple[Delivery, AttemptResult] | None) -> None:
        """Keep the result of an attempt until it is recorded."""
        if finished is not None:
            delivery, result = finished
            self.limit.leave(
                recipient_of(delivery),
                has_failed=not is_success(result.status),
                duration=result.duration,
            )
            self.unrecorded.append(finished)

    def record(self, delivery: Delivery, result: AttemptResult, *, now: datetime) -> None:
        """Record the result of an attempt, and log a failure."""
        decision = delivery_queue.record_attempt(delivery, result, now=now)
        if decision is not DeliveryDecision.DELIVERED:
            logger.warning(
                LogEvent.DELIVERY_FAILED,
                "%(event_id)s did not arrive at %(host)s (webhook %(webhook_id)d, attempt "
                "%(attempt)d, %(decision)s): %(error)s",
                event_id=delivery.event_id,
                host=urlsplit(delivery.webhook.url).hostname,
                webhook_id=delivery.webhook_id,
                attempt=delivery.attempts,
                decision=decision.value,
                error=result.error,
            )


def recipient_of(delivery: Delivery) -> Recipient:
    """Return the webhook of a delivery and its owner."""
    return Recipient(delivery.webhook.owner_id, delivery.webhook_id)


def send_message(message: Message) -> AttemptResult:
    """Send a message; return the status of the response, or the error without one."""
    headers = {"Content-Type": "application/json", **message.headers}
    try:
        response = send(
            "POST",
            message.url,
            headers=headers,
            body=message.body,
            timeout_seconds=SEND_TIMEOUT_SECONDS,
        )
    except (AddressRefused, RequestNotSent) as error:
        return AttemptResult(error=str(error))
    is_delivered = is_success(response.status)
    return AttemptResult(
        status=response.status,
        error="" if is_delivered else f"The receiver answered with status {response.status}.",
        retry_after=retry_after_in(response.status, response.headers),
    )
