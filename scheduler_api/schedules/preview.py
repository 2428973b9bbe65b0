"""The next slots of a schedule, stored or not, in JSON."""

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
from scheduler_api.schedules.kinds import Clocked, Crontab, Interval, Schedule, Solar

DEFAULT_COUNT = 10
MAX_COUNT = 500

ELAPSED_TIME = (
    "Follows elapsed time: if the clock repeats an hour, its slots occur twice; "
    "if the clock skips an hour, it has no slots."
)
WALL_TIME = (
    "Follows the wall clock: if the clock skips a time, its slot is at the end of the gap; "
    "if the clock repeats a time, its slot is at the first occurrence."
)
INTERVAL = "Follows elapsed time: a clock change moves no slot."
SUN = "Follows the sun: a clock change moves no slot."
INSTANT = "Its slot is one instant: a clock change does not move it."


class UpcomingQuery(StrictSerializer):
    """Query parameters of the upcoming slots."""

    count = fields.Digits(
        min_value=1,
        max_value=MAX_COUNT,
        default=DEFAULT_COUNT,
        help_text="Maximum number of slots to return.",
    )
    after = fields.Instant(
        required=False,
        help_text="Only slots later than this time; defaults to now.",
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
    """A schedule to preview without storing it."""

    schedule = InlineSchedule(help_text="The schedule, inline.")
    count = fields.WholeNumber(
        min_value=1,
        max_value=MAX_COUNT,
        default=DEFAULT_COUNT,
        help_text="Maximum number of slots to return.",
    )
    after = fields.Instant(
        required=False,
        help_text="Only slots later than this time; defaults to now.",
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
    """The upcoming slots of a schedule."""

    upcoming = serializers.ListField(
        child=fields.Instant(), help_text="The slots in UTC, in ascending order."
    )
    description = serializers.CharField(help_text="The schedule in words.")
    clock_changes = serializers.CharField(
        help_text=(
            "The rule for slots when the time zone's clock changes, for example to daylight "
            "saving time."
        )
    )


def serialize_upcoming(schedule: Schedule, slots: list[datetime]) -> Any:
    """Return the slots of a schedule as JSON."""
    return UpcomingSerializer(
        {
            "upcoming": slots,
            "description": describe(schedule),
            "clock_changes": clock_changes(schedule),
        }
    ).data


def serialize_never(error: InvalidSchedule) -> Any:
    """Return the JSON for a stored row that no schedule can be built from."""
    return UpcomingSerializer(
        {
            "upcoming": [],
            "description": describe_never(error),
            "clock_changes": "This schedule has no slots.",
        }
    ).data


def clock_changes(schedule: Schedule) -> str:
    """Return the rule that a schedule follows when the clock changes, as a sentence."""
    match schedule:
        case Interval():
            return INTERVAL
        case Crontab():
            return (
                ELAPSED_TIME if parse_fields(schedule.fields).follows_elapsed_time else WALL_TIME
            )
        case Solar():
            return SUN
        case Clocked():
            return INSTANT


def moment_or_now(value: datetime | None) -> datetime:
    """Return the requested time, or the current time if there is none."""
    return value or datetime.now(UTC)
