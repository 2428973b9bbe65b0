"""`manage.py migrate_queue`: give a queue of RabbitMQ the arguments of our settings."""

from argparse import ArgumentParser
from typing import Any

from celery import current_app
from django.core.management.base import BaseCommand, CommandError

from scheduler_api.broker.batches import BrokerConnectionLost
from scheduler_api.broker.queue_migration import MigrationRefused, migrate_queue


class Command(BaseCommand):
    """Migrates a queue that exists with other arguments, with its messages."""

    help = (
        "Gives a queue of RabbitMQ the arguments of our settings, and keeps its messages. "
        "Beat and all workers must be stopped."
    )
    # It needs no database.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the name of the queue."""
        parser.add_argument("queue", help="Name of the queue.")

    def handle(self, *_: object, queue: str, **__: Any) -> None:
        """Migrate the queue, and print the number of its messages."""
        try:
            count = migrate_queue(current_app, queue)
        except (MigrationRefused, BrokerConnectionLost) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"The queue {queue!r} has our arguments. Messages moved: {count}.")
