"""What the tests of runs store and read."""

import uuid
from datetime import UTC, datetime
from typing import Any

from django_celery_beat.models import PeriodicTask
from rest_framework.response import Response

from scheduler_api.runs.models import Run

RUNS = "/api/v1/runs/"
NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)


def entered(**columns: Any) -> Run:
    """A run in the ledger, as beat enters it."""
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
    """A run of a periodic task that is stored."""
    owner_id = getattr(getattr(task, "managed", None), "owner_id", None)
    named = {"periodic_task_id": task.pk, "periodic_task_name": task.name, "task": task.task}
    return entered(**{**named, "owner_id": owner_id, **columns})


def of(task: PeriodicTask) -> str:
    """Where the runs of a periodic task are found."""
    return f"/api/v1/periodic-tasks/{task.pk}/runs/"


def address(run: Run) -> str:
    """Where a run is found."""
    return f"{RUNS}{run.pk}/"


def reasons(response: Response) -> list[str]:
    """The reasons on a page, in its order: tests of lists tell runs apart by them."""
    return [run["reason"] for run in response.json()["results"]]
