"""The Celery application: `celery -A project worker`, `celery -A project beat`."""

import logging
import os
from typing import Any

from celery import Celery, signals
from celery.utils.log import get_multiprocessing_logger
from django.conf import settings
from kombu.transport import TRANSPORT_ALIASES

from project.environment import log_level, refuse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

# The default of --loglevel on Celery's command line.
for command in ("WORKER", "BEAT"):
    os.environ.setdefault(f"CELERY_{command}_LOGLEVEL", log_level())

TRANSPORT_ALIASES["filesystem"] = "project.embedded.broker:Transport"

app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")
# `celery report` and `celery inspect conf` print all settings, and hide the password of a URL
# only under this name.
app.add_defaults(lambda: {"broker_url": settings.BROKER_URL})
app.autodiscover_tasks(["project"])
app.autodiscover_tasks()


@signals.celeryd_init.connect
def select_queues(instance: Any, **_: object) -> None:
    """Select the queues that the worker consumes; --queues and --exclude-queues come after it.

    By default Celery consumes every queue that the settings name, those of other services too.
    """
    instance.app.amqp.queues.select(settings.WORKER_QUEUES)


@signals.setup_logging.connect
def set_up_logging(loglevel: int, logfile: str | None, **_: object) -> None:
    """Log like the API, at the level of the command line, instead of Celery's own set-up."""
    from project.logs import configure  # noqa: PLC0415

    if logfile:
        refuse("--logfile", f"is {logfile!r}, and all logs go to stderr", "leave it out")
    get_multiprocessing_logger()  # else the pool logs nothing, not even a killed child
    configure(settings.LOGGING)
    logging.getLogger().setLevel(loglevel)
