"""The settings of the project, and the plain view set beside its own API."""

from project.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.plain"

# Only what a benchmark stores is sent; and the peers run as they do without this project.
CELERY_BEAT_SCHEDULE = {}
CELERY_BEAT_SYNC_EVERY = 0
CELERY_BEAT_MAX_LOOP_INTERVAL = 0
