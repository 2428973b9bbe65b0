"""How many messages wait in a queue: asked of the broker by a thread, so that beat never waits."""

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from amqp.exceptions import NotFound
from celery import Celery
from kombu.exceptions import ChannelError

from scheduler_api.broker.connection import CONNECT_TIMEOUT_SECONDS, connection_to
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line

# An answer that takes longer tells how it was, not how it is.
MAX_ANSWER_AGE_SECONDS = 30.0

logger = EventLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Depth:
    """How many messages wait, and how many take them; None where the broker does not tell."""

    ready: int
    consumers: int | None


@dataclass(kw_only=True)
class DepthRequest:
    """Which queues were asked about, and what the broker has answered."""

    queues: Collection[str]
    asked_at: float = field(default_factory=time.monotonic)
    answered: threading.Event = field(default_factory=threading.Event)
    depths: Mapping[str, Depth] = field(default_factory=dict)


class QueueDepthProbe:
    """Asks for depths, one question at a time."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._request: DepthRequest | None = None

    def ask(self, queues: Collection[str]) -> None:
        """Ask about queues."""
        request = self._request = DepthRequest(queues=queues)
        threading.Thread(target=self._answer, args=(request,), name="gauge", daemon=True).start()

    def take(self) -> Mapping[str, Depth] | None:
        """Return what was answered, once: nothing of a queue that is not there, or too late.

        None while the broker may still answer.
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
        except Exception as error:  # noqa: BLE001 - kombu has many; it is asked again
            logger.debug(
                LogEvent.QUEUE_DEPTHS_UNKNOWN,
                "The broker did not report the depth of its queues: %(error)s",
                error=in_one_line(error),
            )
        finally:
            request.answered.set()


def measure(app: Celery, queues: Collection[str]) -> dict[str, Depth]:
    """Ask the broker about queues, over a connection for that alone; raises what kombu does."""
    is_amqp = app.connection_for_write().transport.driver_name == "py-amqp"
    depths = {}
    with open_connection(app, is_amqp=is_amqp) as connection:
        for queue in queues:
            # Of its own: RabbitMQ closes the channel when there is no such queue.
            channel = connection.channel()
            try:
                told = channel.queue_declare(queue=queue, passive=True)
            except NotFound:
                continue
            except ChannelError:  # to Redis, an empty queue is none
                depths[queue] = Depth(ready=0, consumers=None)
            else:
                consumers = told.consumer_count if is_amqp else None
                depths[queue] = Depth(ready=told.message_count, consumers=consumers)
            channel.close()
    return depths


def open_connection(app: Celery, *, is_amqp: bool) -> Any:
    """Return a connection that is open."""
    if is_amqp:
        return connection_to(app)
    connection = app.connection_for_write(connect_timeout=CONNECT_TIMEOUT_SECONDS)
    connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
    return connection
