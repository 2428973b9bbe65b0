"""Start Celery with faults: `python -m tests.faults.launch beat …`, as `celery -A project beat …`.

What is to go wrong is in the environment: FAULTS_CLOCK names a file to set the clock by
(`clock.py`), FAULTS_CRASH a place to die at (`crash.py`).
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from celery import signals
from celery.__main__ import main as celery

from tests.faults import clock, crash


def main() -> None:
    """Set up what is to go wrong, then become Celery."""
    if file := os.environ.get("FAULTS_CLOCK"):
        clock.follow(Path(file))
    from project.celery import app  # noqa: PLC0415 - the clock comes first

    app.loader.import_default_modules()
    for crash_point in os.environ.get("FAULTS_CRASH", "").split():
        crash.inject(crash_point)
    if os.environ.get("FAULTS_ARM") == "stock":
        signals.before_task_publish.connect(add_sent_at, weak=False)
    sys.argv[1:1] = ["-A", "project"]
    celery()


def add_sent_at(headers: dict[str, Any], **_: object) -> None:
    """Tell when stock beat sent a message, since it keeps no ledger that would."""
    headers["sent_at"] = time.time()


if __name__ == "__main__":
    main()
