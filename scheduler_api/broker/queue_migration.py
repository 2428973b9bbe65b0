"""Gives a queue of RabbitMQ our arguments, with its messages.

RabbitMQ cannot change a queue: it is deleted and declared again, and a queue beside it keeps the
messages meanwhile. Each copy is confirmed before its message is acknowledged. A migration that was
interrupted is continued by the next one.
"""

from typing import Any

from amqp.exceptions import NotFound
from celery import Celery
from kombu import Queue

from scheduler_api.broker.connection import connection_to
from scheduler_api.broker.message_copies import MessageCopier
from scheduler_api.broker.queue_declaration import declare, exists

KEPT_SUFFIX = ".migrating"


class MigrationRefused(Exception):
    """A queue cannot be migrated; the message says why and what to do."""


def migrate_queue(app: Celery, name: str) -> int:
    """Give a queue the arguments of the settings; return the number of its messages.

    Raises MigrationRefused and BrokerConnectionLost. Nothing may use the queue meanwhile.
    """
    if name not in app.amqp.queues:
        raise MigrationRefused(f"There is no queue {name!r} in QUEUES or WORKER_QUEUES.")
    ours, kept = app.amqp.queues[name], Queue(f"{name}{KEPT_SUFFIX}")
    copier = MessageCopier(app)
    with connection_to(app) as connection:
        if connection.transport.driver_type != "amqp":
            raise MigrationRefused("Only queues of RabbitMQ have arguments.")
        try:
            if exists(ours, connection) and (mismatch := declare(ours, connection)):
                if not mismatch.is_usable:
                    raise MigrationRefused(str(mismatch))
                refuse_consumers(ours, connection)
                kept(connection.default_channel).declare()
                move(ours, kept, connection, copier)
                connection.default_channel.queue_delete(name)
            if (mismatch := declare(ours, connection)) is not None:
                raise MigrationRefused(str(mismatch))
            if not exists(kept, connection):
                return 0
            count = move(kept, ours, connection, copier)
            connection.default_channel.queue_delete(kept.name)
            return count
        finally:
            copier.close()


def refuse_consumers(queue: Any, connection: Any) -> None:
    """Refuse a queue with consumers: they may hold messages, which its end would delete."""
    channel = connection.channel()
    try:
        count = channel.queue_declare(queue=queue.name, passive=True).consumer_count
    except NotFound as error:
        raise MigrationRefused(f"The queue {queue.name!r} was deleted meanwhile.") from error
    channel.close()
    if count:
        raise MigrationRefused(
            f"{count} consumers use the queue {queue.name!r}: stop all workers, and beat, first."
        )


def move(source: Any, target: Any, connection: Any, copier: MessageCopier) -> int:
    """Move all messages of a queue to the end of another one; return their number."""
    bound, count = source(connection.default_channel), 0
    while (message := bound.get()) is not None:
        if not copier.copy_to_tail(message, target.name):
            message.requeue()
            raise MigrationRefused(
                f"The queue {target.name!r} did not accept a message: run this command again."
            )
        message.ack()
        count += 1
    return count
