"""Gives messages that a worker cannot handle back to their queue, for other workers.

Celery drops a message of a task that the worker does not have, and a message that it cannot read.
On a queue that several services share, that is the work of another service.

The worker holds such a message for some seconds first, unacknowledged: at once, the broker would
deliver it to the same worker again, in a loop. While it holds messages it fetches as many more, so
that its own work goes on.
"""

import random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any

from celery import bootsteps
from celery.utils.log import get_logger
from celery.worker.consumer.mingle import Mingle
from celery.worker.consumer.tasks import Tasks

from scheduler_api.backoff import backoff
from scheduler_api.broker.message_copies import MessageCopier, counts_deliveries
from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.worker.main_process import note_unknown_task

# How long a message is held: longer each time that this worker gets it.
FIRST_HOLD, LONGEST_HOLD = timedelta(seconds=1), timedelta(seconds=10)
HOLD_FACTOR = 1.5
# Workers ask Redis once a second: after whole seconds, the same one would always come first.
HOLD_JITTER = 0.5
# The hold while more messages wait than the worker may hold: it bounds the rate of the loop.
CROWDED_HOLD = timedelta(seconds=10)
MAX_HELD = 2000  # messages; the worker fetches no others for those beyond
# From this many held messages on, each goes to the end of its queue instead of to its head, where
# the worker would get the same ones again and never reach its own.
CROWD = 100
CROWD_SECONDS = 60  # how long that applies afterwards: many holds end at the same time
# The hold where held messages keep the worker from fetching others.
STATIC_HOLD = timedelta(milliseconds=250)
MAX_REMEMBERED = 10_000  # messages
LOG_INTERVAL_SECONDS = 60
# A queue without a foreign message for this long is no longer reported as shared.
FORGET_AFTER_SECONDS = 120
UNREADABLE = ""  # the name of the task of a message that does not name one

logger = EventLogger(__name__)
celery_logger = get_logger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldMessage:
    """A message that goes back to its queue later."""

    message: Any
    queue: str
    is_beyond_prefetch: bool


@dataclass(kw_only=True)
class Returned:
    """The returned messages of one task in one queue."""

    last_at: float
    logged_at: float = float("-inf")
    unlogged: int = 0


@dataclass(kw_only=True)
class ReturnedTasks:
    """The tasks of the returned messages, by queue; times are those of `monotonic()`."""

    by_place: dict[tuple[str, str], Returned] = field(default_factory=dict)

    def add(self, queue: str, task: str, *, now: float) -> int:
        """Count a message; return the number to log now, or 0."""
        returned = self.by_place.setdefault((queue, task), Returned(last_at=now))
        returned.last_at = now
        returned.unlogged += 1
        if now - returned.logged_at < LOG_INTERVAL_SECONDS:
            return 0
        returned.logged_at = now
        count, returned.unlogged = returned.unlogged, 0
        return count

    def recent(self, *, now: float) -> list[tuple[str, str]]:
        """Return the queues and tasks of late; forget the others."""
        self.by_place = {
            place: returned
            for place, returned in self.by_place.items()
            if now - returned.last_at < FORGET_AFTER_SECONDS
        }
        return sorted(self.by_place)


returned_tasks = ReturnedTasks()


def connect() -> None:
    """Add the step to the consumer of each worker. Calling it again changes nothing."""
    # Required by the step that receives messages, it comes before it.
    required: list[Any] = list(Tasks.requires or ())
    if MessageReturn not in required:
        Tasks.requires = (*required, MessageReturn)


class MessageReturn(bootsteps.StartStopStep):
    """Replaces the methods with which celery.worker.consumer.Consumer drops messages.

    They are `on_unknown_task` and `on_unknown_message`, and `on_invalid_task` and
    `on_decode_error` unless the message is one of the ledger: there its end is recorded. A message
    over which Celery's handler (`create_task_handler`) fails would end the worker.
    """

    requires = (Mingle,)
    label = "MessageReturn"

    def __init__(self, consumer: Any, **options: object) -> None:
        super().__init__(consumer, **options)
        self._consumer = consumer
        self._held: set[HeldMessage] = set()
        self._tries: OrderedDict[bytes, int] = OrderedDict()
        self._rng = random.Random()  # noqa: S311 - no secret
        self._crowded_until = 0.0  # as `monotonic()` counts
        self._copier = MessageCopier(consumer.app)
        self._dropping = {
            "on_invalid_task": consumer.on_invalid_task,
            "on_decode_error": consumer.on_decode_error,
        }
        consumer.on_unknown_task = self.on_unknown_task
        consumer.on_unknown_message = self.on_unknown_message
        consumer.on_invalid_task = self.on_invalid_task
        consumer.on_decode_error = self.on_decode_error
        consumer.create_task_handler = self.create_task_handler

    def start(self, consumer: Any) -> None:
        """Forget the messages of an earlier connection: the broker has them again."""
        self._held.clear()

    def stop(self, consumer: Any) -> None:
        """Give all messages back; after the loss of the connection, the broker has done it."""
        held, self._held = self._held, set()
        if consumer.connection:
            for each in held:
                self._requeue(each.message)
        self._copier.close()

    def create_task_handler(self) -> Callable[[Any], None]:
        """Return Celery's handler of a message, which gives a message back if it fails."""
        consumer = self._consumer
        handle = type(consumer).create_task_handler(consumer)
        of_broker = (*consumer.connection_errors, *consumer.channel_errors)

        def handle_or_give_back(message: Any) -> None:
            try:
                handle(message)
            except of_broker:
                raise
            except Exception:
                if message.acknowledged:
                    raise
                self.give_back(message, UNREADABLE)

        return handle_or_give_back

    # --- Celery's callbacks -------------------------------------------------------------------

    def on_unknown_task(self, body: object, message: Any, exc: Exception) -> None:
        """Give a message of a task that this worker does not have back."""
        headers = message.headers
        name = str(headers["task"] if "task" in headers else message.payload["task"])
        if self.give_back(message, name) == 1 and "periodic_task_name" in headers:
            note_unknown_task(str(headers.get("id")), name, worker=self._consumer.hostname)

    def on_unknown_message(self, body: object, message: Any) -> None:
        """Give a message that is not one of Celery back."""
        self.give_back(message, UNREADABLE)

    def on_invalid_task(self, body: object, message: Any, exc: Exception) -> None:
        """Give a message that Celery cannot make a request of back."""
        if self._is_recorded(message):
            self._dropping["on_invalid_task"](body, message, exc)
        else:
            self.give_back(message, UNREADABLE)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Give a message with an unreadable body back."""
        if self._is_recorded(message):
            self._dropping["on_decode_error"](message, exc)
        else:
            self.give_back(message, UNREADABLE)

    def _is_recorded(self, message: Any) -> bool:
        headers = message.headers or {}
        task = headers.get("task")
        is_known = isinstance(task, str) and task in self._consumer.app.tasks
        return is_known and "periodic_task_name" in headers

    # --- Holding and giving back --------------------------------------------------------------

    def give_back(self, message: Any, task: str) -> int:
        """Hold a message, and give it back later; return how often this worker has got it."""
        consumer = self._consumer
        queue = queue_of(consumer.task_consumer, message)
        tries = self._count(message)
        is_static = has_static_prefetch(consumer)
        is_full = len(self._held) >= MAX_HELD
        if is_static or len(self._held) >= CROWD:
            self._crowded_until = time.monotonic() + CROWD_SECONDS
        held = HeldMessage(
            message=message,
            queue=queue,
            is_beyond_prefetch=not (is_static or is_full),
        )
        if held.is_beyond_prefetch:
            consumer.qos.increment_eventually()
        hold = backoff(
            tries,
            first=FIRST_HOLD,
            longest=LONGEST_HOLD,
            factor=HOLD_FACTOR,
            jitter=HOLD_JITTER,
            rng=self._rng,
        )
        if is_static:
            hold = STATIC_HOLD
        elif is_full:
            hold = max(hold, CROWDED_HOLD)
        self._held.add(held)
        consumer.timer.call_after(hold.total_seconds(), self._end, (held,))
        self._log(queue, task)
        return tries

    def _count(self, message: Any) -> int:
        """Return how often this worker has got a message, as far as it remembers."""
        key = fingerprint(message)
        tries = self._tries[key] = self._tries.pop(key, 0) + 1
        if len(self._tries) > MAX_REMEMBERED:
            self._tries.popitem(last=False)
        return tries

    def _end(self, held: HeldMessage) -> None:
        """Give a held message back, unless that was done or the connection is another one."""
        if held not in self._held:
            return
        # A quorum queue drops a message after a number of returns.
        is_crowded = time.monotonic() < self._crowded_until
        is_to_copy = is_crowded or counts_deliveries(held.message)
        self._held.discard(held)
        if held.is_beyond_prefetch:
            self._consumer.qos.decrement_eventually()
        if is_to_copy and self._copier.copy_to_tail(held.message, held.queue):
            held.message.ack_log_error(celery_logger, self._consumer.connection_errors)
        else:
            self._requeue(held.message)

    def _requeue(self, message: Any) -> None:
        message.reject_log_error(celery_logger, self._consumer.connection_errors, requeue=True)

    def _log(self, queue: str, task: str) -> None:
        count = returned_tasks.add(queue, task, now=time.monotonic())
        if not count:
            return
        what = (
            f"of the task {task!r}, which this worker does not have,"
            if task
            else "that this worker cannot read"
        )
        logger.warning(
            LogEvent.MESSAGE_RETURNED,
            "Messages %(what)s arrive in the queue %(queue)r: gave %(count)d back, for other "
            "workers. Give each service a queue of its own",
            what=what,
            queue=queue,
            task=task,
            count=count,
        )


def queue_of(task_consumer: Any, message: Any) -> str:
    """Return the queue from which a message came."""
    info = message.delivery_info
    names = {tag: name for name, tag in task_consumer._active_tags.items()}
    # Only RabbitMQ's messages have a tag. Elsewhere the routing key is the name, by default.
    return str(names.get(info.get("consumer_tag")) or info.get("routing_key", ""))


def fingerprint(message: Any) -> bytes:
    """Return a value that identifies a message, also after its return."""
    headers = message.headers or {}
    task_id = headers.get("id") or message.properties.get("correlation_id")
    body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
    known = f"{task_id}:{headers.get('retries')}".encode() if task_id else body
    return sha256(known).digest()[:16]


def has_static_prefetch(consumer: Any) -> bool:
    """Return whether Celery cannot change how many messages it fetches.

    That is so with quorum queues, and with RabbitMQ from version 4 on.
    """
    return consumer.connection.transport.driver_type == "amqp" and consumer.qos_global is False
