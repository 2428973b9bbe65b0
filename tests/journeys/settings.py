"""The project's settings for services whose workers are killed, with more tasks."""

from project.settings import *  # noqa: F403

CELERY_IMPORTS = ["tests.journeys.tasks"]
# After 1 second (10 by default) a worker gives up a lost process; after 10 beat gives up a worker.
CELERY_WORKER_LOST_WAIT = 1
RUN_LEASE_SECONDS = 10
