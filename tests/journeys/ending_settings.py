"""The project's settings with tasks that end in each way, and a result backend for chords."""

from project.settings import *  # noqa: F403
from project.settings import DATA_DIR

CELERY_IMPORTS = ["tests.journeys.ending", "tests.journeys.tasks"]
RESULTS_DIR = DATA_DIR / "results"
RESULTS_DIR.mkdir(parents=True, exist_ok=True)
CELERY_RESULT_BACKEND = f"file://{RESULTS_DIR}"
CELERY_RESULT_CHORD_RETRY_INTERVAL = 0.2
CELERY_TASK_IGNORE_RESULT = False
