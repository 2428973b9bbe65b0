"""Queues of the running RabbitMQ: durable, and deleted at the end of a measurement."""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from threading import Event
from time import monotonic
from typing import Any

from kombu import Connection, Exchange
from kombu import Queue as Entity

BROKER = os.environ.get("BROKER_URL") or "amqp://guest:guest@127.0.0.1:5672//"
DRAIN_TIMEOUT_SECONDS = 300
PREFETCH_COUNT = 1000  # unacknowledged messages
numbers = count(1)


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A queue, declared as Celery declares the queues of the project."""

    name: str
    channel: Any

    def depth(self) -> int:
        """Return the number of waiting messages."""
        declared = self.channel.queue_declare(self.name, passive=True)
        return declared.message_count

    def ids(self) -> Counter[str]:
        """Consume all messages; return the number of messages per task id."""
        ids: Counter[str] = Counter()
        expected, deadline = self.depth(), monotonic() + DRAIN_TIMEOUT_SECONDS
        with self.taking(lambda message: ids.update([message.headers["id"]])):
            while ids.total() < expected and monotonic() < deadline:
                with suppress(TimeoutError):
                    self.channel.connection.drain_events(timeout=1)
        assert self.depth() == 0, "the queue still has messages"
        return ids

    @contextmanager
    def emptied(self) -> Iterator[Counter[str]]:
        """Consume and acknowledge all messages, as workers do; count their task ids."""
        ids: Counter[str] = Counter()
        is_over = Event()

        def take(message: Any) -> None:
            ids.update([message.headers["id"]])
            message.channel.basic_ack(message.delivery_tag)

        def take_all() -> None:
            with Connection(BROKER, heartbeat=0) as connection, connection.channel() as channel:
                channel.basic_qos(0, PREFETCH_COUNT, a_global=False)
                channel.basic_consume(self.name, callback=take)
                while not is_over.is_set():
                    with suppress(TimeoutError):
                        connection.drain_events(timeout=0.1)

        with ThreadPoolExecutor(max_workers=1) as thread:
            taken = thread.submit(take_all)
            try:
                yield ids
            finally:
                is_over.set()
                taken.result()

    @contextmanager
    def taking(self, take: Any) -> Iterator[None]:
        """Call `take` with each message while events are drained."""
        tag = self.channel.basic_consume(self.name, no_ack=True, callback=take)
        try:
            yield
        finally:
            self.channel.basic_cancel(tag)


@contextmanager
def queue() -> Iterator[Queue]:
    """Declare a new queue with an exchange of the same name."""
    name = f"benchmark-{os.getpid()}-{next(numbers)}"
    with Connection(BROKER, heartbeat=0) as connection:
        channel = connection.channel()
        entity = Entity(name, Exchange(name), routing_key=name)
        entity(channel).declare()
        try:
            yield Queue(name=name, channel=channel)
        finally:
            with connection.channel() as last:
                last.queue_delete(name)
                last.exchange_delete(name)
