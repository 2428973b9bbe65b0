"""Sends what is due, in a process of its own; any number of them share the work.

The main thread alone talks to the database. The others only send, so that a slow receiver holds up
neither beat nor a worker, and other receivers no more than `Room` lets it.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from django.db import DatabaseError, InterfaceError, connection

from scheduler_api.backoff import backoff
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.outbound.address_guard import Refused
from scheduler_api.outbound.client import NotSent, is_success, send
from scheduler_api.webhooks import deliveries, signing
from scheduler_api.webhooks.concurrency import THREADS, Room
from scheduler_api.webhooks.fan_out import fan_out
from scheduler_api.webhooks.models import Delivery
from scheduler_api.webhooks.retry_policy import Outcome, Verdict, wish_in

SEND_SECONDS = 15
IDLE_SECONDS = 1.0
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=30)
# After a request to stop: as long as what is on its way may take, and its end be written down.
STOP_SECONDS = 2 * SEND_SECONDS

logger = EventLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Message:
    """What one thread needs to know, and no more."""

    url: str
    body: bytes
    headers: dict[str, str]


class Sender:
    """Turns events into deliveries, and sends these."""

    def __init__(self) -> None:
        self.room = Room()
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook")
        self.ended: SimpleQueue[tuple[Delivery, Outcome] | None] = SimpleQueue()
        self.to_note: list[tuple[Delivery, Outcome]] = []
        self.is_stopping = False
        self.stop_by = 0.0

    def run(self) -> None:
        """Send until asked to stop; a database that is away is waited for."""
        failures = 0  # of the database, in a row
        while not self.is_done():
            try:
                self.tick(now=datetime.now(UTC))
                failures = 0
            except (DatabaseError, InterfaceError) as error:
                failures += 1
                pause = backoff(failures, first=FIRST_PAUSE, longest=LONGEST_PAUSE).total_seconds()
                logger.warning(
                    LogEvent.DATABASE_UNAVAILABLE,
                    "The database does not answer, trying again in %(retry_in_seconds)g s: "
                    "%(error)s",
                    retry_in_seconds=pause,
                    error=in_one_line(error),
                )
                connection.close()
                self.wait(pause, is_patient=True)
                continue
            self.wait(IDLE_SECONDS)
        self.threads.shutdown(wait=False, cancel_futures=True)
        if self.to_note or self.room.under_way:
            logger.warning(
                LogEvent.DELIVERIES_UNRECORDED,
                "Deliveries under way are sent again: their outcome was not recorded",
            )

    def is_done(self) -> bool:
        """Tell whether there is nothing left to do before the end, or no time for it."""
        is_over = not self.to_note and not self.room.under_way
        return self.is_stopping and (is_over or time.monotonic() > self.stop_by)

    def stop(self, *_: object) -> None:
        """Send nothing new, and end when what is on its way has arrived; asked again, at once."""
        if self.is_stopping:
            raise SystemExit(1)
        self.is_stopping, self.stop_by = True, time.monotonic() + STOP_SECONDS
        self.ended.put(None)  # wakes the main thread

    def tick(self, *, now: datetime) -> None:
        """Note what has ended, and send what is due."""
        while self.to_note:
            self.note(*self.to_note[0], now=now)
            del self.to_note[0]
        if not self.is_stopping:
            fan_out(now=now)
            self.start_due(now=now)

    def start_due(self, *, now: datetime) -> None:
        """Hand what is due to the threads, as far as there is room."""
        for delivery in deliveries.take(now, room=self.room.copy()):
            secrets = deliveries.secrets_for(delivery.webhook, now=now)
            if not secrets:
                deliveries.disable(delivery.webhook_id, deliveries.KEY_IS_ANOTHER, now=now)
                logger.error(
                    LogEvent.WEBHOOK_SECRET_UNREADABLE,
                    "Webhook %(webhook_id)d: %(reason)s",
                    webhook_id=delivery.webhook_id,
                    reason=deliveries.KEY_IS_ANOTHER,
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
            self.room.enter(delivery.webhook_id)
            self.threads.submit(self.attempt, delivery, message)

    def attempt(self, delivery: Delivery, message: Message) -> None:
        """Send a message, in a thread; the main thread hears what has come of it."""
        try:
            outcome = outcome_of(message)
        except Exception as error:
            logger.exception(
                LogEvent.DELIVERY_FAILED,
                "The attempt to deliver %(event_id)s raised an unexpected error",
                event_id=delivery.event_id,
                webhook_id=delivery.webhook_id,
            )
            outcome = Outcome(error=f"An error of ours: {type(error).__name__}.")
        self.ended.put((delivery, outcome))

    def wait(self, seconds: float, *, is_patient: bool = False) -> None:
        """Wait until an attempt has ended, or so many seconds; the patient wait all of them."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                ended = self.ended.get(timeout=max(deadline - time.monotonic(), 0))
            except Empty:
                return
            self.take_over(ended)
            while not self.ended.empty():
                self.take_over(self.ended.get())
            if not is_patient or self.is_stopping:
                return

    def take_over(self, ended: tuple[Delivery, Outcome] | None) -> None:
        """Keep what has come of an attempt until it is written down."""
        if ended is not None:
            delivery, outcome = ended
            self.room.leave(delivery.webhook_id, has_failed=not is_success(outcome.status))
            self.to_note.append(ended)

    def note(self, delivery: Delivery, outcome: Outcome, *, now: datetime) -> None:
        """Write down what has come of an attempt, and log what has failed."""
        verdict = deliveries.note(delivery, outcome, now=now)
        if verdict is not Verdict.DELIVERED:
            logger.warning(
                LogEvent.DELIVERY_FAILED,
                "%(event_id)s did not arrive at %(host)s (webhook %(webhook_id)d, attempt "
                "%(attempt)d, %(decision)s): %(error)s",
                event_id=delivery.event_id,
                host=urlsplit(delivery.webhook.url).hostname,
                webhook_id=delivery.webhook_id,
                attempt=delivery.attempts,
                decision=verdict.value,
                error=outcome.error,
            )


def outcome_of(message: Message) -> Outcome:
    """Send a message; say what was answered, or why nothing was."""
    headers = {"Content-Type": "application/json", **message.headers}
    try:
        answer = send("POST", message.url, headers=headers, body=message.body, within=SEND_SECONDS)
    except (Refused, NotSent) as error:
        return Outcome(error=str(error))
    return Outcome(
        status=answer.status,
        error="" if is_success(answer.status) else f"It answered with status {answer.status}.",
        retry_after=wish_in(answer.status, answer.headers),
    )
