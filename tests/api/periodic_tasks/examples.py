"""What the tests of periodic tasks send, store and read."""

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
    """Where a periodic task is found."""
    return f"{TASKS}{task.pk}/"


def heartbeat(**fields: Any) -> dict[str, Any]:
    """A body for a task that takes no arguments."""
    return {
        "name": "Heartbeat",
        "task": "project.tasks.heartbeat",
        "schedule": EVERY_30_SECONDS,
        **fields,
    }


def imports(**fields: Any) -> dict[str, Any]:
    """A body for a task that takes two strings and a flag."""
    return {
        "name": "Import contacts",
        "task": "project.tasks.import_contacts",
        "schedule": EVERY_30_SECONDS,
        "args": ["arg1", "arg2"],
        "kwargs": {"be_careful": True},
        **fields,
    }


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    """The same body with some fields left out."""
    return {name: value for name, value in body.items() if name not in names}


def stored(**columns: Any) -> PeriodicTask:
    """A periodic task made behind the API's back, as a project's own code makes it."""
    if not columns.keys() & {"interval", "crontab", "solar", "clocked"}:
        columns["interval"], _ = IntervalSchedule.objects.get_or_create(
            every=30, period=IntervalSchedule.SECONDS
        )
    defaults = {"name": "Heartbeat", "task": "project.tasks.heartbeat"}
    return PeriodicTask.objects.create(**{**defaults, **columns})


def stored_import(**columns: Any) -> PeriodicTask:
    """A stored periodic task that takes arguments."""
    defaults = {
        "name": "Import contacts",
        "task": "project.tasks.import_contacts",
        "args": json.dumps(["arg1", "arg2"]),
        "kwargs": json.dumps({"be_careful": True}),
    }
    return stored(**{**defaults, **columns})


def spoil(task: PeriodicTask, /, **columns: Any) -> None:
    """Write what no check has seen."""
    PeriodicTask.objects.filter(pk=task.pk).update(**columns)


def agenda_of(task: PeriodicTask, /, **columns: Any) -> None:
    """Write what beat would, of a task that has just been stored."""
    Agenda.objects.update_or_create(periodic_task=task, defaults=columns)


def mistakes(response: Response) -> list[tuple[str, str]]:
    """Where a request was refused, and by which rule."""
    problem = response.json()
    return sorted(
        (error.get("pointer", error.get("parameter")), error["code"])
        for error in problem["errors"]
    )


def names(response: Response) -> list[str]:
    """The names on a page, in its order."""
    return [task["name"] for task in response.json()["results"]]
