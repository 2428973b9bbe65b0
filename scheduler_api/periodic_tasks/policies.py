"""Policies of a periodic task: missed slots, overlap, jitter, lost runs, retries and failures."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django_celery_beat.models import PeriodicTask

from scheduler_api.http import fields
from scheduler_api.http.problems import Mistake
from scheduler_api.http.serializers import StrictModelSerializer
from scheduler_api.periodic_tasks.models import (
    DEFAULT_BACKOFF_SECONDS,
    MAX_RUNTIME_SECONDS,
    ManagedTask,
    managed_settings,
)
from scheduler_api.periodic_tasks.task_schedule import schedule_row
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.spacing import shortest_spacing
from scheduler_api.schedules.tables import schedule_of

DAY_SECONDS = 24 * 60 * 60
WEEK_SECONDS = 7 * DAY_SECONDS
YEAR_SECONDS = 365 * DAY_SECONDS
# The gap between slots does not depend on the anchor of an interval.
_ANY_ANCHOR = datetime(2000, 1, 1, tzinfo=UTC)


class PolicyName(fields.RelatedColumn, fields.Choice):
    """A policy chosen by name, stored in the managed settings."""

    related_row = staticmethod(managed_settings)


class PolicyNumber(fields.RelatedColumn, fields.WholeNumber):
    """A policy given as a whole number, stored in the managed settings."""

    related_row = staticmethod(managed_settings)


class PolicySerializer(StrictModelSerializer):
    """The policy fields of a periodic task."""

    misfire = PolicyName(
        choices=ManagedTask.Misfire.values,
        default=ManagedTask.Misfire.RUN_ONCE.value,
        help_text="Handling of slots that beat did not send in time, for example because it was "
        "down: `skip` records them as missed, `run_once` runs the latest, `run_all` runs each, at "
        "most the latest 100.",
    )
    catchup_window_seconds = PolicyNumber(
        default=3600,
        min_value=0,
        max_value=YEAR_SECONDS,
        help_text="Maximum delay after which a slot may still run; later slots are missed.",
    )
    overlap = PolicyName(
        choices=ManagedTask.Overlap.values,
        default=ManagedTask.Overlap.ALLOW.value,
        help_text="Handling of a slot while an earlier run is unfinished: `allow` runs both, "
        "`skip` skips the slot, `buffer_one` lets one run wait, `cancel_previous` cancels the "
        "earlier run.",
    )
    jitter_seconds = PolicyNumber(
        default=0,
        min_value=0,
        max_value=DAY_SECONDS,
        help_text="Maximum random delay between a slot and its run, always the same for a slot; "
        "at most the shortest time between two slots.",
    )
    max_runtime_seconds = PolicyNumber(
        default=MAX_RUNTIME_SECONDS,
        min_value=1,
        max_value=WEEK_SECONDS,
        help_text="If no worker reports on a run for this long, it is marked `lost`.",
    )
    max_attempts = PolicyNumber(
        default=1,
        min_value=1,
        max_value=100,
        help_text="Maximum number of times a run starts. A run that failed or was lost starts "
        "again until it reaches this number. Celery's own retries count, but are not limited.",
    )
    retry_backoff_seconds = PolicyNumber(
        default=DEFAULT_BACKOFF_SECONDS,
        min_value=0,
        max_value=DAY_SECONDS,
        help_text="Delay before the second start of a run. It doubles before each later start, up "
        "to 6 hours, plus a random part of up to a quarter.",
    )
    pause_after_failures = PolicyNumber(
        default=0,
        min_value=0,
        max_value=1000,
        help_text="Number of consecutive failed or lost runs after which the periodic task is "
        "paused until it is resumed; 0 for never.",
    )


def wrong_jitter(task: PeriodicTask, jitter_seconds: int) -> Iterator[Mistake]:
    """Refuse a jitter longer than the shortest gap between two slots.

    Otherwise a slot could be due after the next one. Other rules report an invalid schedule.
    """
    row = schedule_row(task)
    if not jitter_seconds or row is None:
        return
    try:
        gap = shortest_spacing(schedule_of(row, anchor=_ANY_ANCHOR))
    except InvalidSchedule:
        return
    if gap is not None and timedelta(seconds=jitter_seconds) > gap:
        seconds = f"{gap.total_seconds():.0f}"
        yield Mistake(
            pointer="/jitter_seconds",
            code="longer_than_gap",
            detail=f"Must be at most {seconds}: the schedule has two slots {seconds} s apart.",
        )
