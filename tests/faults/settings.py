"""Django settings of the beats and workers under test."""

import os

from project.settings import *  # noqa: F403

CELERY_BEAT_SCHEDULE: dict[str, object] = {}
CELERY_IMPORTS = ["tests.faults.tasks"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Retry forever: a server may be away for longer than Celery's default.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_PREFETCH_MULTIPLIER = 100
# Two log lines per run would cost more than the run itself.
LOGGING["loggers"] |= {  # noqa: F405
    "celery.app.trace": {"level": "WARNING"},
    "celery.worker.strategy": {"level": "WARNING"},
}
# Poison rows must be refused because they are invalid, not because of missing permission.
ALLOW_CUSTOM_ROUTING = True

if lease := os.environ.get("FAULTS_LEASE"):
    # Short timeouts, in seconds, for tests that wait until a run or a worker process is lost.
    RUN_LEASE_SECONDS = int(lease)
    CELERY_WORKER_LOST_WAIT = 1
    CELERY_WORKER_PREFETCH_MULTIPLIER = 4

if os.environ.get("FAULTS_ARM") == "stock":
    # Celery's default; the project's setting would save each run immediately.
    CELERY_BEAT_SYNC_EVERY = 0
