"""The settings of the project, and the plain view set beside its own API."""

from project.settings import *  # noqa: F403
from project.settings import DATABASES

ROOT_URLCONF = "benchmarks.plain"

# Only what a benchmark stores is sent; and the peers run as they do without this project.
CELERY_BEAT_SCHEDULE = {}
CELERY_BEAT_SYNC_EVERY = 0
CELERY_BEAT_MAX_LOOP_INTERVAL = 0

# One process of PostgreSQL for each of ours, to the end: what it has used is read from it.
DATABASES["default"]["CONN_MAX_AGE"] = None
