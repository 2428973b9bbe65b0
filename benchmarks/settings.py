"""The settings of the project, plus the plain view set for comparison with its API."""

from project.settings import *  # noqa: F403
from project.settings import DATABASES

ROOT_URLCONF = "benchmarks.plain"

# Beat sends only the tasks that a benchmark stores; the peers run with their own defaults.
CELERY_BEAT_SCHEDULE = {}
CELERY_BEAT_SYNC_EVERY = 0
CELERY_BEAT_MAX_LOOP_INTERVAL = 0

# One PostgreSQL process for each of ours until the end, so that its CPU time can be read.
DATABASES["default"]["CONN_MAX_AGE"] = None
