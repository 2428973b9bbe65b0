"""Writing schedules, each in one transaction."""

from typing import Any

from django.db import IntegrityError, transaction

from scheduler_api.http.problems import Problem
from scheduler_api.schedules.rows import values_of

NAMES_SHOWN = 100


class ScheduleInUse(Problem):
    """Periodic tasks use this schedule, so it cannot be deleted."""

    status_code = 409
    code = "schedule_in_use"
    example = {
        "detail": (
            "It is used by Import contacts. Give these another schedule, or delete them, first."
        ),
        "instance": "/api/v1/interval-schedules/1/",
        "used_by": ["Import contacts"],
    }
    extensions = {
        "used_by": {
            "type": "array",
            "items": {"type": "string"},
            "description": "With `schedule_in_use`: the names of the periodic tasks, at most 100.",
        }
    }


class ScheduleExists(Problem):
    """There is an equal schedule already."""

    status_code = 409
    code = "schedule_exists"
    example = {"detail": "Use the one with the id 1.", "instance": "/api/v1/solar-schedules/"}


@transaction.atomic
def store(row: Any) -> None:
    """Save a new schedule, or new values of one; its periodic tasks follow it.

    Raise ScheduleExists where django-celery-beat's tables want them unique (solar).
    """
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        equal = type(row)._default_manager.filter(**values_of(row)).first()
        if equal is None:
            raise
        raise ScheduleExists(f"Use the one with the id {equal.pk}.") from error


@transaction.atomic
def delete(row: Any) -> None:
    """Delete a schedule that no periodic task uses, or raise ScheduleInUse.

    django-celery-beat's own delete() takes the periodic tasks with it. The caller has locked
    the row, so that no periodic task can begin to use it meanwhile.
    """
    names = list(
        row.periodictask_set.order_by("name").values_list("name", flat=True)[: NAMES_SHOWN + 1]
    )
    if names:
        shown = ", ".join(names[:NAMES_SHOWN]) + (" and others" * (len(names) > NAMES_SHOWN))
        raise ScheduleInUse(
            f"It is used by {shown}. Give these another schedule, or delete them, first.",
            used_by=names[:NAMES_SHOWN],
        )
    row.delete()
