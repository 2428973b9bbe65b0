"""The policies of a periodic task: what becomes of its slots when not all is as it should be."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django_celery_beat.models import PeriodicTask

from scheduler_api.http import fields
from scheduler_api.http.problems import Mistake
from scheduler_api.periodic_tasks.models import managed_settings
from scheduler_api.periodic_tasks.task_schedule import schedule_row
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.spacing import shortest_spacing
from scheduler_api.schedules.tables import schedule_of

DAY_SECONDS = 24 * 60 * 60
WEEK_SECONDS = 7 * DAY_SECONDS
YEAR_SECONDS = 365 * DAY_SECONDS
_ANY_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)


class PolicyName(fields.OfAnotherRow, fields.Choice):
    """A policy by its name, which the other half of a periodic task has."""

    row_of = staticmethod(managed_settings)


class PolicyNumber(fields.OfAnotherRow, fields.WholeNumber):
    """A policy that is a whole number, which the other half of a periodic task has."""

    row_of = staticmethod(managed_settings)


def wrong_jitter(task: PeriodicTask, jitter_seconds: int) -> Iterator[Mistake]:
    """Refuse a jitter that is longer than the shortest time between two slots.

    With one, a slot could be due after the next. What cannot be read as a schedule others refuse.
    """
    row = schedule_row(task)
    if not jitter_seconds or row is None:
        return
    try:
        gap = shortest_spacing(schedule_of(row, anchor=_ANY_MOMENT))
    except InvalidSchedule:
        return
    if gap is not None and timedelta(seconds=jitter_seconds) > gap:
        yield Mistake(
            pointer="/jitter_seconds",
            code="longer_than_gap",
            detail=f"Two of its slots are {gap.total_seconds():.0f} s apart: "
            "send so many seconds at most.",
        )
