"""`manage.py deliver_webhooks`: the process that sends webhook deliveries."""

import signal
from typing import Any

from django.core.management.base import BaseCommand

from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.webhooks.sender import Sender

logger = EventLogger(__name__)


class Command(BaseCommand):
    """Run until SIGTERM or Ctrl-C. Deliveries in progress may complete."""

    help = "Deliver webhooks until stopped. Any number of these processes share the work."
    # The database may still be unavailable at the start.
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        """Send due deliveries."""
        sender = Sender()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, sender.stop)
        logger.info(LogEvent.WEBHOOK_SENDER_STARTED, "Delivering webhooks")
        sender.run()
        logger.info(LogEvent.WEBHOOK_SENDER_STOPPED, "This process no longer delivers webhooks")
