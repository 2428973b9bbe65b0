"""Starts Celery with faults: `python -m tests.faults.launch beat …` as `celery -A project beat …`.

Environment variables choose the faults: FAULTS_CLOCK names the file that sets the clock
(`clock.py`), FAULTS_CRASH a crash point (`crash.py`).
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
    """Set up the faults, then run Celery."""
    if file := os.environ.get("FAULTS_CLOCK"):
        clock.follow(Path(file))
    from project.celery import app  # noqa: PLC0415 - the clock must be set first

    app.loader.import_default_modules()
    for crash_point in os.environ.get("FAULTS_CRASH", "").split():
        crash.inject(crash_point)
    if os.environ.get("FAULTS_ARM") == "stock":
        signals.before_task_publish.connect(add_sent_at, weak=False)
    sys.argv[1:1] = ["-A", "project"]
    celery()


def add_sent_at(headers: dict[str, Any], **_: object) -> None:
    """Add the send time to a message of stock beat, which keeps no ledger."""
    headers["sent_at"] = time.time()


if __name__ == "__main__":
    main()
