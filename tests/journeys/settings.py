"""The settings of the services whose workers have a hard time: the project's, and more tasks."""

from project.settings import *  # noqa: F403

CELERY_IMPORTS = ["tests.journeys.tasks"]
# So long a worker waits for the result of a process that is gone: 10 seconds, otherwise.
CELERY_WORKER_LOST_WAIT = 1
