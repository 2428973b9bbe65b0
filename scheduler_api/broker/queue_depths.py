"""Reads queue depths from the broker in a thread, so that beat never waits for it."""

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from amqp.exceptions import NotFound, ResourceLocked
from celery import Celery
from kombu.exceptions import ChannelError

from scheduler_api.broker.connection import CONNECT_TIMEOUT_SECONDS, connection_to
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line

# An older answer no longer describes the queue.
MAX_ANSWER_AGE_SECONDS = 30.0

logger = EventLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Depth:
    """Ready messages and consumers of a queue; `consumers` is None if the broker reports none."""

    ready: int
    consumers: int | None


@dataclass(kw_only=True)
class DepthRequest:
    """The queues of one request, and the broker's answer."""

    queues: Collection[str]
    asked_at: float = field(default_factory=time.monotonic)
    answered: threading.Event = field(default_factory=threading.Event)
    depths: Mapping[str, Depth] = field(default_factory=dict)


class QueueDepthProbe:
    """Reads the depths of queues, one request at a time."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._request: DepthRequest | None = None

    def ask(self, queues: Collection[str]) -> None:
        """Start a request in a thread of its own."""
        request = self._request = DepthRequest(queues=queues)
        threading.Thread(
            target=self._answer, args=(request,), name="queue-depths", daemon=True
        ).start()

    def take(self) -> Mapping[str, Depth] | None:
        """Return the depths of the last request, once; None while the broker may still answer.

        A queue that does not exist is left out. A request that takes too long has no depths.
        """
        request = self._request
        if request is None:
            return {}
        is_fresh = time.monotonic() - request.asked_at < MAX_ANSWER_AGE_SECONDS
        if is_fresh and not request.answered.is_set():
            return None
        self._request = None
        return request.depths if is_fresh else {}

    def _answer(self, request: DepthRequest) -> None:
        try:
            request.depths = measure(self._app, request.queues)
        except Exception as error:  # noqa: BLE001 - kombu has many; beat asks again
            logger.debug(
                LogEvent.QUEUE_DEPTHS_UNKNOWN,
                "The broker did not report the depth of its queues: %(error)s",
                error=in_one_line(error),
            )
        finally:
            request.answered.set()


def measure(app: Celery, queues: Collection[str]) -> dict[str, Depth]:
    """Read the depths of queues over a connection of its own; raises the errors of kombu."""
    is_amqp = app.connection_for_write().transport.driver_name == "py-amqp"
    depths = {}
    with open_connection(app, is_amqp=is_amqp) as connection:
        for queue in queues:
            # One channel per queue: RabbitMQ closes it when the queue does not exist.
            channel = connection.channel()
            try:
                declared = channel.queue_declare(queue=queue, passive=True)
            except (NotFound, ResourceLocked):
                continue
            except ChannelError:  # Redis has no empty queues
                depths[queue] = Depth(ready=0, consumers=None)
            else:
                consumers = declared.consumer_count if is_amqp else None
                depths[queue] = Depth(ready=declared.message_count, consumers=consumers)
            channel.close()
    return depths


def open_connection(app: Celery, *, is_amqp: bool) -> Any:
    """Return an open connection."""
    if is_amqp:
        return connection_to(app)
    connection = app.connection_for_write(connect_timeout=CONNECT_TIMEOUT_SECONDS)
    connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
    return connection
