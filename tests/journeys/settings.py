"""The settings of the services whose workers have a hard time: the project's, and more tasks."""

from project.settings import *  # noqa: F403

CELERY_IMPORTS = ["tests.journeys.tasks"]
# A worker gives a process up that is gone after so many seconds (10 otherwise), and beat a worker.
CELERY_WORKER_LOST_WAIT = 1
RUN_LEASE_SECONDS = 10
