"""Request bodies and rows for the tests of periodic tasks."""

import json
from typing import Any

from django_celery_beat.models import IntervalSchedule, PeriodicTask
from rest_framework.response import Response

from scheduler_api.periodic_tasks.agenda import Agenda

TASKS = "/api/v1/periodic-tasks/"
EVERY_30_SECONDS = {"type": "interval", "every": 30, "period": "seconds"}
NIGHTLY = {"type": "crontab", "minute": "30", "hour": "2", "timezone": "Europe/Berlin"}
SUNSET = {"type": "solar", "event": "sunset", "latitude": 52.52, "longitude": 13.405}
NEW_YEAR_2100 = {"type": "clocked", "clocked_time": "2100-01-01T00:00:00Z"}

DEFAULT_POLICIES = {
    "misfire": "run_once",
    "catchup_window_seconds": 3600,
    "overlap": "allow",
    "jitter_seconds": 0,
    "max_runtime_seconds": 3600,
    "max_attempts": 1,
    "retry_backoff_seconds": 10,
    "pause_after_failures": 0,
}
EVERY_KIND = [EVERY_30_SECONDS, NIGHTLY, SUNSET, NEW_YEAR_2100]


def address(task: PeriodicTask) -> str:
    """Return the URL path of a periodic task."""
    return f"{TASKS}{task.pk}/"


def heartbeat(**fields: Any) -> dict[str, Any]:
    """Return a body for a task without arguments."""
    return {
        "name": "Heartbeat",
        "task": "project.tasks.heartbeat",
        "schedule": EVERY_30_SECONDS,
        **fields,
    }


def imports(**fields: Any) -> dict[str, Any]:
    """Return a body for a task that takes two strings and a flag."""
    return {
        "name": "Import contacts",
        "task": "project.tasks.import_contacts",
        "schedule": EVERY_30_SECONDS,
        "args": ["arg1", "arg2"],
        "kwargs": {"be_careful": True},
        **fields,
    }


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the body without some of its fields."""
    return {name: value for name, value in body.items() if name not in names}


def stored(**columns: Any) -> PeriodicTask:
    """Store a periodic task through the ORM, as the code of a project does."""
    if not columns.keys() & {"interval", "crontab", "solar", "clocked"}:
        columns["interval"], _ = IntervalSchedule.objects.get_or_create(
            every=30, period=IntervalSchedule.SECONDS
        )
    defaults = {"name": "Heartbeat", "task": "project.tasks.heartbeat"}
    return PeriodicTask.objects.create(**{**defaults, **columns})


def stored_import(**columns: Any) -> PeriodicTask:
    """Store a periodic task that takes arguments, through the ORM."""
    defaults = {
        "name": "Import contacts",
        "task": "project.tasks.import_contacts",
        "args": json.dumps(["arg1", "arg2"]),
        "kwargs": json.dumps({"be_careful": True}),
    }
    return stored(**{**defaults, **columns})


def update_row(task: PeriodicTask, /, **columns: Any) -> None:
    """Write columns without validation."""
    PeriodicTask.objects.filter(pk=task.pk).update(**columns)


def update_agenda(task: PeriodicTask, /, **columns: Any) -> None:
    """Write columns of the agenda row, as beat does."""
    Agenda.objects.update_or_create(periodic_task=task, defaults=columns)


def mistakes(response: Response) -> list[tuple[str, str]]:
    """Return the pointer and the code of each mistake in a refusal."""
    problem = response.json()
    return sorted(
        (error.get("pointer", error.get("parameter")), error["code"])
        for error in problem["errors"]
    )


def names(response: Response) -> list[str]:
    """Return the names on a page, in order."""
    return [task["name"] for task in response.json()["results"]]
