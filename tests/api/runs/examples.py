"""Runs for tests."""

import uuid
from datetime import UTC, datetime
from typing import Any

from django_celery_beat.models import PeriodicTask
from rest_framework.response import Response

from scheduler_api.runs.models import Run

RUNS = "/api/v1/runs/"
NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)


def entered(**columns: Any) -> Run:
    """Store a run, as beat does."""
    defaults: dict[str, Any] = {
        "id": columns.pop("pk", None) or uuid.uuid4(),
        "periodic_task_id": 7,
        "periodic_task_name": "Heartbeat",
        "task": "project.tasks.heartbeat",
        "slot_at": NOON,
        "due_at": columns.get("slot_at", NOON),
        "created_at": NOON,
    }
    return Run.objects.create(**{**defaults, **columns})


def run_of(task: PeriodicTask, **columns: Any) -> Run:
    """Store a run of a stored periodic task."""
    owner_id = getattr(getattr(task, "managed", None), "owner_id", None)
    named = {"periodic_task_id": task.pk, "periodic_task_name": task.name, "task": task.task}
    return entered(**{**named, "owner_id": owner_id, **columns})


def of(task: PeriodicTask) -> str:
    """Return the URL of the runs of a periodic task."""
    return f"/api/v1/periodic-tasks/{task.pk}/runs/"


def address(run: Run) -> str:
    """Return the URL of a run."""
    return f"{RUNS}{run.pk}/"


def reasons(response: Response) -> list[str]:
    """Return the reasons on a page, which identify the runs in tests of lists."""
    return [run["reason"] for run in response.json()["results"]]
