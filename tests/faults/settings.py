"""The settings of the beats and the worker that the faults are done to."""

import os

from project.settings import *  # noqa: F403

CELERY_BEAT_SCHEDULE: dict[str, object] = {}
CELERY_IMPORTS = ["tests.faults.tasks"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Forever: a server may be away for longer than Celery would wait.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_PREFETCH_MULTIPLIER = 100
# Two lines for each run would be most of the work.
LOGGING["loggers"] |= {  # noqa: F405
    "celery.app.trace": {"level": "WARNING"},
    "celery.worker.strategy": {"level": "WARNING"},
}
# A poison row is to be refused for what it says, not for who may say it.
ALLOW_CUSTOM_ROUTING = True

if lease := os.environ.get("FAULTS_LEASE"):
    # For tests that wait for what is lost: seconds without a sign of a worker, or of a process.
    RUN_LEASE_SECONDS = int(lease)
    CELERY_WORKER_LOST_WAIT = 1
    CELERY_WORKER_PREFETCH_MULTIPLIER = 4

if os.environ.get("FAULTS_ARM") == "stock":
    # As Celery has it; ours would save each run at once.
    CELERY_BEAT_SYNC_EVERY = 0
