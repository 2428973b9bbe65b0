"""Queues of the running RabbitMQ: each durable, and gone at the end."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import Any

from kombu import Connection, Exchange
from kombu import Queue as Entity

BROKER = os.environ.get("BROKER_URL") or "amqp://guest:guest@127.0.0.1:5672//"
PATIENCE_SECONDS = 300
numbers = count(1)


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A queue, as Celery declares those of the project."""

    name: str
    channel: Any

    def depth(self) -> int:
        """Return how many messages wait in it."""
        declared = self.channel.queue_declare(self.name, passive=True)
        return declared.message_count

    def ids(self) -> Counter[str]:
        """Take all messages; return how often there was one of each task id."""
        ids: Counter[str] = Counter()
        expected, patience = self.depth(), monotonic() + PATIENCE_SECONDS
        with self.taking(lambda message: ids.update([message.headers["id"]])):
            while ids.total() < expected and monotonic() < patience:
                with suppress(TimeoutError):
                    self.channel.connection.drain_events(timeout=1)
        assert self.depth() == 0, "the queue does not end"
        return ids

    @contextmanager
    def taking(self, take: Any) -> Iterator[None]:
        """Have each message given to `take` as it comes, while events are drained."""
        tag = self.channel.basic_consume(self.name, no_ack=True, callback=take)
        try:
            yield
        finally:
            self.channel.basic_cancel(tag)


@contextmanager
def queue() -> Iterator[Queue]:
    """Declare a queue of its own, with an exchange of its name."""
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
