"""Create, change and delete schedules, each in one transaction."""

from typing import Any

from django.db import IntegrityError, transaction

from scheduler_api.access.audit import Caller, Operation, record_entry
from scheduler_api.access.ownership import visible_to
from scheduler_api.http.problems import Problem
from scheduler_api.schedules.limits import refuse_followers_beyond_limits
from scheduler_api.schedules.models import ScheduleRevision
from scheduler_api.schedules.tables import are_equal, find_equal, kind_of, values_of

NAMES_SHOWN = 100


class ScheduleInUse(Problem):
    """Periodic tasks use this schedule, so it cannot be deleted."""

    status_code = 409
    code = "schedule_in_use"
    example = {
        "detail": (
            "Used by Import customers. Give these periodic tasks another schedule or delete them "
            "first."
        ),
        "instance": "/api/v1/interval-schedules/1/",
        "used_by": ["Import customers"],
    }
    extensions = {
        "used_by": {
            "type": "array",
            "items": {"type": "string"},
            "description": (
                "With `schedule_in_use`: names of the periodic tasks that use the schedule, at "
                "most 100."
            ),
        }
    }


class ScheduleExists(Problem):
    """An equal schedule already exists."""

    status_code = 409
    code = "schedule_exists"
    example = {"detail": "Use the schedule with id 1.", "instance": "/api/v1/solar-schedules/"}


class ScheduleUsedByOthers(Problem):
    """Periodic tasks of other accounts use this schedule, so it cannot be changed."""

    status_code = 409
    code = "schedule_of_others"
    example = {
        "detail": "Create a schedule of your own and use that one.",
        "instance": "/api/v1/interval-schedules/1/",
    }


@transaction.atomic
def store(row: Any, *, by: Caller) -> None:
    """Save a new schedule, or new values for a stored one and so for its periodic tasks.

    Raises:
        ScheduleUsedByOthers: a periodic task of another account uses it.
        ValidationFailed: a periodic task that runs by it exceeds a limit of the caller's account.
        ScheduleExists: an equal row exists, and django-celery-beat's table has a unique
            constraint (solar schedules).

    """
    before = type(row)._default_manager.filter(pk=row.pk).first()
    if before:
        if are_equal(row, before):
            return
        refuse_new_values(row, by=by)
        ScheduleRevision.bump(kind_of(row).name, row.pk)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        equal = find_equal(row)
        if equal is None:
            raise
        raise ScheduleExists(f"Use the schedule with id {equal.pk}.") from error
    operation = Operation.CHANGE if before else Operation.CREATE
    record_entry(operation, row, by=by, before=before and values_of(before), after=values_of(row))


def refuse_change(row: Any, *, by: Caller) -> None:
    """Raise ScheduleUsedByOthers or ValidationFailed, as `store` does, before a row is locked."""
    before = type(row)._default_manager.filter(pk=row.pk).first()
    if before and not are_equal(row, before):
        refuse_new_values(row, by=by)


def refuse_new_values(row: Any, *, by: Caller) -> None:
    """Raise ScheduleUsedByOthers or ValidationFailed if an account may not store new values."""
    others = row.periodictask_set.exclude(visible_to(by.account))
    if not by.account.is_admin and others.exists():
        raise ScheduleUsedByOthers("Create a schedule of your own and use that one.")
    refuse_followers_beyond_limits(row, by.account)


@transaction.atomic
def delete(row: Any, *, by: Caller) -> None:
    """Delete a schedule that no periodic task uses; raise ScheduleInUse otherwise.

    The caller holds a lock on the row and its key, so no periodic task can start to use it
    meanwhile.
    """
    refuse_removal(row, by=by)
    record_entry(Operation.DELETE, row, by=by, before=values_of(row))
    ScheduleRevision.objects.filter(kind=kind_of(row).name, schedule_id=row.pk).delete()
    row.delete()


def refuse_removal(row: Any, *, by: Caller) -> None:
    """Raise ScheduleInUse if a periodic task uses a schedule.

    Without this check, django-celery-beat's delete() would delete the periodic tasks as well.
    """
    users = row.periodictask_set
    visible = users.filter(visible_to(by.account)).order_by("name").values_list("name", flat=True)
    names = list(visible[: NAMES_SHOWN + 1])
    if not names and not users.exists():
        return
    if names:
        shown = ", ".join(names[:NAMES_SHOWN]) + (" and others" * (len(names) > NAMES_SHOWN))
        detail = (
            f"Used by {shown}. Give these periodic tasks another schedule or delete them first."
        )
    else:
        detail = "Periodic tasks of other accounts use this schedule."
    raise ScheduleInUse(detail, used_by=names[:NAMES_SHOWN])
