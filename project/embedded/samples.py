"""Sample entries of CELERY_BEAT_SCHEDULE, for the embedded database alone.

A database that others have filled is adopted as it is: nothing is written into it, and its workers
may not have these tasks.
"""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from celery.schedules import crontab

SAMPLE_ENTRIES: dict[str, dict[str, Any]] = {
    "heartbeat": {
        "task": "project.tasks.heartbeat",
        "schedule": timedelta(minutes=1),
    },
    "nightly-cleanup": {
        "task": "project.tasks.clean_up",
        "schedule": crontab(minute="0", hour="3"),
        "kwargs": {"older_than_days": 30},
    },
    "prune-runs": {
        "task": "scheduler_api.tasks.prune_runs",
        "schedule": timedelta(minutes=10),
    },
}
HAS_PERIODIC_TASKS = "SELECT EXISTS (SELECT 1 FROM django_celery_beat_periodictask)"
HAS_SAMPLES = """
SELECT EXISTS (
    SELECT 1 FROM django_celery_beat_periodictask AS task
    JOIN scheduler_api_managedtask AS managed ON managed.periodic_task_id = task.id
    WHERE task.name IN (?, ?, ?) AND managed.managed_by = 'settings'
)
"""


def sample_entries(database: Path) -> dict[str, dict[str, Any]]:
    """Return the sample entries for a database on SQLite; none if others have filled it."""
    return SAMPLE_ENTRIES if is_ours(database) else {}


def is_ours(database: Path) -> bool:
    """Return whether a database is new or empty, or has the sample entries."""
    if not database.exists():
        return True
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as file:
            if not file.execute(HAS_PERIODIC_TASKS).fetchone()[0]:
                return True
            return bool(file.execute(HAS_SAMPLES, tuple(SAMPLE_ENTRIES)).fetchone()[0])
    except sqlite3.DatabaseError as error:
        # No tables yet: it is new, or the stock scheduler alone has used it.
        return "django_celery_beat_periodictask" in str(error)
