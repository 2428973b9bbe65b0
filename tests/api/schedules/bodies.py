"""Addresses and request bodies for each kind of schedule."""

from typing import Any

from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

API = "/api/v1"
INTERVALS = f"{API}/interval-schedules/"
CRONTABS = f"{API}/crontab-schedules/"
SOLARS = f"{API}/solar-schedules/"
CLOCKEDS = f"{API}/clocked-schedules/"
PERIODIC_TASKS = f"{API}/periodic-tasks/"
PREVIEW = f"{API}/schedules/preview/"

MODELS = (IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule)

INTERVAL: dict[str, Any] = {"every": 5, "period": "minutes"}
CRONTAB: dict[str, Any] = {
    "minute": "30",
    "hour": "7",
    "day_of_month": "1-7",
    "month_of_year": "*/3",
    "day_of_week": "mon",
    "timezone": "Europe/Berlin",
}
SOLAR: dict[str, Any] = {"event": "sunset", "latitude": 52.52, "longitude": 13.405}
CLOCKED: dict[str, Any] = {"clocked_time": "2099-01-01T00:00:00Z"}

# kind: the address of its list, a body, and a body that differs in each field
KINDS = {
    "interval": (INTERVALS, INTERVAL, {"every": 2, "period": "hours"}),
    "crontab": (
        CRONTABS,
        CRONTAB,
        {
            "minute": "*/5",
            "hour": "9-17",
            "day_of_month": "*",
            "month_of_year": "jan",
            "day_of_week": "1-5",
            "timezone": "America/New_York",
        },
    ),
    "solar": (SOLARS, SOLAR, {"event": "dawn_civil", "latitude": -33.86, "longitude": 151.2}),
    "clocked": (CLOCKEDS, CLOCKED, {"clocked_time": "2098-06-30T12:34:56.789000Z"}),
}


def create_tasks_with(kind: str, pk: int, names: list[str]) -> None:
    """Store periodic tasks with these names that use a schedule."""
    PeriodicTask.objects.bulk_create(
        PeriodicTask(
            name=name,
            task="project.tasks.heartbeat",
            one_off=kind == "clocked",
            **{f"{kind}_id": pk},
        )
        for name in names
    )


def no_schedules_are_stored() -> bool:
    """Return whether the four tables are empty."""
    return not any(model._default_manager.exists() for model in MODELS)
