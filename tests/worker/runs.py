"""Runs that a test enters into the ledger for a worker."""

from typing import Any

from scheduler_api.runs.models import Run
from tests.api.runs.examples import entered


def run(**columns: Any) -> str:
    return str(entered(**{"periodic_task_id": 1, "state": "queued", **columns}).pk)


def stored_run() -> Run:
    return Run.objects.get()
