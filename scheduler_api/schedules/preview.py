"""Asking when: the next slots of a schedule, stored or not."""

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from scheduler_api.http import fields
from scheduler_api.http.serializers import StrictSerializer
from scheduler_api.schedules.crontab_fields import parse_fields
from scheduler_api.schedules.description import describe, describe_never
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.inline import InlineSchedule
from scheduler_api.schedules.kinds import Crontab, Schedule

DEFAULT_COUNT = 10
MAX_COUNT = 500

ELAPSED_TIME = (
    "Follows elapsed time: an hour that the clock repeats has its slots twice, "
    "one that it skips has none."
)
WALL_TIME = (
    "Follows the wall clock: a time that the clock skips has its slot at the end of the gap, "
    "one that it repeats has it at the first occurrence."
)


class UpcomingQuery(StrictSerializer):
    """How many slots, and from when on."""

    count = fields.Digits(
        min_value=1,
        max_value=MAX_COUNT,
        default=DEFAULT_COUNT,
        help_text="How many slots at most.",
    )
    after = fields.Instant(
        required=False, help_text="Slots later than this moment; by default, than now."
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "The change to summer time in Berlin",
            {
                "schedule": {
                    "type": "crontab",
                    "expression": "30 2 * * *",
                    "timezone": "Europe/Berlin",
                },
                "after": "2027-03-27T00:00:00Z",
                "count": 3,
            },
        )
    ]
)
class PreviewSerializer(StrictSerializer):
    """A schedule that need not be stored, and the same questions."""

    schedule = InlineSchedule(help_text="When: inline.")
    count = fields.WholeNumber(
        min_value=1,
        max_value=MAX_COUNT,
        default=DEFAULT_COUNT,
        help_text="How many slots at most.",
    )
    after = fields.Instant(
        required=False, help_text="Slots later than this moment; by default, than now."
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "The change to summer time in Berlin",
            {
                "upcoming": [
                    "2027-03-27T01:30:00Z",
                    "2027-03-28T01:00:00Z",
                    "2027-03-29T00:30:00Z",
                ],
                "description": "At 02:30, every day (Europe/Berlin)",
                "clock_changes": WALL_TIME,
            },
        )
    ]
)
class UpcomingSerializer(serializers.Serializer[Any]):
    """When a schedule is due."""

    upcoming = serializers.ListField(
        child=fields.Instant(), help_text="The next slots, in UTC, the nearest first."
    )
    description = serializers.CharField(help_text="The schedule as a sentence.")
    clock_changes = serializers.CharField(
        help_text="What happens when the clock of the zone is put forward or back."
    )


def serialize_upcoming(schedule: Schedule, slots: list[datetime]) -> Any:
    """Return the answer to "when?" as JSON."""
    return UpcomingSerializer(
        {
            "upcoming": slots,
            "description": describe(schedule),
            "clock_changes": clock_changes(schedule),
        }
    ).data


def serialize_never(error: InvalidSchedule) -> Any:
    """Return the answer for a stored row that cannot run."""
    return UpcomingSerializer(
        {
            "upcoming": [],
            "description": describe_never(error),
            "clock_changes": "There are no slots.",
        }
    ).data


def clock_changes(schedule: Schedule) -> str:
    """State the rule that this schedule follows when the clock changes."""
    is_wall_time = (
        isinstance(schedule, Crontab) and not parse_fields(schedule.fields).every_nth_hour
    )
    return WALL_TIME if is_wall_time else ELAPSED_TIME


def moment_or_now(value: datetime | None) -> datetime:
    """Return the moment that was asked for, or now."""
    return value or datetime.now(UTC)
