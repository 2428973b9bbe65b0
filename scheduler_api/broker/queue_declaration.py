"""Declares queues as Celery would, once per connection."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from amqp.exceptions import AMQPError, ChannelError
from celery import Celery
from kombu.exceptions import OperationalError

from scheduler_api.broker.batches import BrokerConnectionLost
from scheduler_api.broker.connection import connection_to
from scheduler_api.broker.queue_mismatches import QueueMismatch, mismatch_of
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line

RECHECK_SECONDS = 30

logger = EventLogger(__name__)


class QueueDeclarer:
    """Declares queues over connections of its own.

    RabbitMQ closes the channel if a queue exists with other arguments; no message may be on that
    channel. A message for such a queue is published all the same.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._declared: set[str] = set()
        self._different: dict[str, tuple[Any, QueueMismatch]] = {}
        self._recheck_at = 0.0

    @property
    def mismatches(self) -> Sequence[QueueMismatch]:
        """The queues that exist with other arguments."""
        return [mismatch for _, mismatch in self._different.values()]

    def reset(self) -> None:
        """Declare all queues again when they are next used: the server may be another one."""
        self._declared.clear()

    def declare(self, entities: Iterable[Any]) -> None:
        """Declare the queues that were not declared since the last reset.

        Raises BrokerConnectionLost.
        """
        self._declare([entity for entity in entities if entity.name not in self._declared])

    def recheck(self) -> None:
        """Declare the queues with a mismatch again, at intervals: somebody may have mended them.

        Raises BrokerConnectionLost.
        """
        if self._different and time.monotonic() >= self._recheck_at:
            self._declare([entity for entity, _ in self._different.values()])

    def _declare(self, entities: Sequence[Any]) -> None:
        if not entities:
            return
        self._declared.update(entity.name for entity in entities)
        self._recheck_at = time.monotonic() + RECHECK_SECONDS
        try:
            with connection_to(self._app) as connection:
                for entity in entities:
                    self._record(entity, declare(entity, connection))
        except (OperationalError, AMQPError, OSError) as error:
            raise BrokerConnectionLost(in_one_line(error)) from error

    def _record(self, entity: Any, mismatch: QueueMismatch | None) -> None:
        _, before = self._different.pop(entity.name, (None, None))
        if mismatch is not None:
            self._different[entity.name] = entity, mismatch
            if mismatch != before:
                log_mismatch(mismatch)


def declare(entity: Any, connection: Any) -> QueueMismatch | None:
    """Declare a queue on a channel of its own; return why RabbitMQ refuses it, or None.

    A channel that RabbitMQ closes takes nothing else with it.
    """
    channel = connection.channel()
    try:
        entity(channel).declare()
    except ChannelError as error:
        mismatch = mismatch_of(
            entity.name, code=error.reply_code or 0, text=error.reply_text or str(error)
        )
        is_usable = mismatch.is_usable and exists(entity, connection)
        return replace(mismatch, is_usable=is_usable)
    with suppress(ChannelError):
        channel.close()
    return None


def exists(entity: Any, connection: Any) -> bool:
    """Return whether a queue exists that this connection may use."""
    channel = connection.channel()
    try:
        channel.queue_declare(queue=entity.name, passive=True)
    except ChannelError:
        return False
    channel.close()
    return True


def log_mismatch(mismatch: QueueMismatch) -> None:
    """Log that a queue exists with other arguments."""
    logger.warning(
        LogEvent.QUEUE_DECLARATION_REFUSED,
        "%(error)s",
        queue=mismatch.queue,
        argument=mismatch.argument,
        there=mismatch.there,
        ours=mismatch.ours,
        error=str(mismatch),
    )
