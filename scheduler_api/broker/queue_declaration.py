"""Declares queues as Celery would, once per connection."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from amqp.exceptions import AMQPError
from celery import Celery
from kombu.exceptions import OperationalError

from scheduler_api.broker.batches import BrokerConnectionLost
from scheduler_api.broker.connection import connection_to
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line

logger = EventLogger(__name__)


class QueueDeclarer:
    """Declares queues over connections of its own.

    RabbitMQ closes the channel if a queue exists with other arguments; no message may be on that
    channel. A message for such a queue is published all the same.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._declared: set[str] = set()
        self._undeclarable: set[str] = set()

    def reset(self) -> None:
        """Declare all queues again when they are next used: the server may be another one."""
        self._declared.clear()

    def declare(self, entities: Iterable[Any]) -> None:
        """Declare the queues that were not declared since the last reset.

        Raises BrokerConnectionLost.
        """
        new = [entity for entity in entities if entity.name not in self._declared]
        if not new:
            return
        self._declared.update(entity.name for entity in new)
        try:
            with connection_to(self._app) as connection:
                for entity in new:
                    self._declare_one(entity, connection)
        except (OperationalError, AMQPError, OSError) as error:
            raise BrokerConnectionLost(in_one_line(error)) from error

    def _declare_one(self, entity: Any, connection: Any) -> None:
        channel = connection.channel()
        try:
            entity(channel).declare()
            self._undeclarable.discard(entity.name)
        except connection.channel_errors as error:
            if entity.name not in self._undeclarable:
                self._undeclarable.add(entity.name)
                logger.warning(
                    LogEvent.QUEUE_DECLARATION_REFUSED,
                    "RabbitMQ refused to declare the queue %(queue)s, which is used as it is: "
                    "%(error)s",
                    queue=entity.name,
                    error=in_one_line(error),
                )
        with suppress(*connection.channel_errors):
            channel.close()
