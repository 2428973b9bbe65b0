"""`manage.py deliver_webhooks`: tells webhooks what has come of runs."""

import logging
import signal
from typing import Any

from django.core.management.base import BaseCommand

from scheduler_api.webhooks.sender import Sender

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """Run until SIGTERM or Ctrl-C; what is on its way then may arrive."""

    help = "Deliver webhooks, until it is stopped. Any number of these processes share the work."
    # The database need not answer yet.
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        """Send what is due."""
        sender = Sender()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, sender.stop)
        logger.info("Delivering webhooks")
        sender.run()
        logger.info("No more webhooks are delivered by this process")
