"""Copies a received message to the end of its queue in RabbitMQ."""

from contextlib import suppress
from typing import Any

from amqp import Message
from amqp.exceptions import AMQPError
from celery import Celery

from scheduler_api.broker.batches import BrokerConnectionLost
from scheduler_api.broker.connection import connection_to
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line

CONFIRM_TIMEOUT_SECONDS = 5

logger = EventLogger(__name__)


class MessageCopier:
    """Publishes copies, each confirmed, over a connection of its own."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Any = None
        self._channel: Any = None

    def copy_to_tail(self, message: Any, queue: str) -> bool:
        """Publish a copy of a received message; return whether the queue has it.

        The broker must be RabbitMQ.
        """
        try:
            if self._channel is None:
                self._connection = connection_to(self._app)
                self._channel = self._connection.connection.channel()
            self._channel.basic_publish_confirm(
                copy_of(message),
                exchange="",
                routing_key=queue,
                mandatory=True,
                confirm_timeout=CONFIRM_TIMEOUT_SECONDS,
            )
        except (AMQPError, BrokerConnectionLost, OSError) as error:
            self.close()
            logger.debug(
                LogEvent.MESSAGE_COPY_FAILED,
                "The queue %(queue)r did not accept the copy of a message: %(error)s",
                queue=queue,
                error=in_one_line(error),
            )
            return False
        return True

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(AMQPError, OSError):
                connection.release()


def copy_of(message: Any) -> Message:
    """Return a message like a received one; its time to live begins anew."""
    headers = dict(message.headers)
    if not message.errors:
        headers.pop("compression", None)  # kombu has decompressed the body
    headers.pop("x-delivery-count", None)  # counts the deliveries of the received one
    return Message(message.body, **{**message.properties, "application_headers": headers})


def counts_deliveries(message: Any) -> bool:
    """Return whether a message is from a quorum queue, which limits its deliveries."""
    return "x-delivery-count" in (message.headers or {})
