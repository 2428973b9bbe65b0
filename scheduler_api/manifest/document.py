"""All periodic tasks of an account as one minimal document.

It leaves out what a request may leave out: the ids, and each field that has its default value.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from django_celery_beat.models import PeriodicTask

from scheduler_api.http.etags import etag_of
from scheduler_api.http.serializers import read
from scheduler_api.periodic_tasks.models import managed_settings
from scheduler_api.periodic_tasks.serializers import PeriodicTaskSerializer
from scheduler_api.schedules.serializers import INLINE_SERIALIZERS
from scheduler_api.schedules.tables import KINDS

VERSION = 1


def document_of(tasks: Iterable[PeriodicTask]) -> dict[str, Any]:
    """Return the manifest of these tasks, sorted by name."""
    by_name = sorted(tasks, key=lambda task: str(task.name))
    return {"version": VERSION, "periodic_tasks": [entry_of(task) for task in by_name]}


def manifest_etag(tasks: Iterable[PeriodicTask]) -> str:
    """Return the entity tag of a manifest.

    It includes the revisions, so that it changes when a secret changes: the document shows stars.
    """
    tasks = sorted(tasks, key=lambda task: str(task.name))
    revisions = [managed_settings(task).revision for task in tasks]
    return etag_of({**document_of(tasks), "revisions": revisions})


def entry_of(task: PeriodicTask) -> dict[str, Any]:
    """Return the body of a request that would create this task."""
    values = read(PeriodicTaskSerializer, task)
    schedule = values["schedule"]
    defaults = {**defaults_of(PeriodicTaskSerializer), "one_off": task.clocked is not None}
    return {
        name: schedule_entry(schedule) if name == "schedule" and schedule else values[name]
        for name in writable_fields(PeriodicTaskSerializer)
        if name not in KINDS and (name not in defaults or values[name] != defaults[name])
    }


def schedule_entry(schedule: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inline schedule of a request that would create this schedule.

    It always includes the time zone, since the default depends on a setting of the service.
    """
    serializer = INLINE_SERIALIZERS[schedule["type"]]
    defaults = {
        name: value for name, value in defaults_of(serializer).items() if name != "timezone"
    }
    return {
        name: schedule[name]
        for name in writable_fields(serializer)
        if name in schedule and (name not in defaults or schedule[name] != defaults[name])
    }


@cache
def writable_fields(serializer: type[Any]) -> list[str]:
    """Return the names of the writable fields, in their order."""
    return [name for name, field in serializer().fields.items() if not field.read_only]


@cache
def defaults_of(serializer: type[Any]) -> dict[str, Any]:
    """Return the defaults of the optional fields, in the form that an answer has."""
    return {
        name: field.default() if callable(field.default) else field.default
        for name, field in serializer().fields.items()
        if not field.read_only and not field.required and not field.write_only
    }
