"""The statistics of runs in JSON."""

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from scheduler_api.http import fields
from scheduler_api.http.serializers import StrictSerializer
from scheduler_api.runs.models import Run
from scheduler_api.runs.stats import (
    DEFAULT_RANGE,
    MAX_GROUPS,
    MAX_RANGE,
    PERCENTILES,
    Bucket,
    GroupBy,
)

NO_RUNS = dict.fromkeys(Run.State.values, 0)
ANSWER: dict[str, Any] = {
    "created_at_after": "2027-03-27T12:00:00Z",
    "created_at_before": "2027-03-28T12:00:00Z",
    "is_complete": True,
    "results": [
        {
            "bucket_at": "2027-03-28T00:00:00Z",
            "periodic_task": 1,
            "periodic_task_name": "Import customers",
            "task": None,
            "count": 1440,
            "states": {**NO_RUNS, "succeeded": 1437, "failed": 2, "missed": 1},
            "duration_seconds": {"p50": 2.5, "p95": 4.125},
            "lateness_seconds": {"p50": 0.011, "p95": 0.034},
        }
    ],
}


class RunStatsQuery(StrictSerializer):
    """The time range and the grouping of the statistics."""

    created_at_after = fields.Instant(
        required=False,
        help_text="Start of the range, inclusive; defaults to one day before its end.",
    )
    created_at_before = fields.Instant(
        required=False,
        help_text="End of the range, exclusive; defaults to now. At most "
        f"{MAX_RANGE.days} days after its start.",
    )
    group_by = fields.Choice(
        choices=[each.value for each in GroupBy],
        required=False,
        help_text="Grouping of the runs; without it, they are one group.",
    )
    bucket = fields.Choice(
        choices=[each.value for each in Bucket],
        required=False,
        help_text="Whether to group by hour or day of creation too, in UTC.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the full range; refuse one that is empty or too long."""
        before = attrs.get("created_at_before") or datetime.now(UTC)
        after = attrs.get("created_at_after") or before - min(
            DEFAULT_RANGE, before - datetime.min.replace(tzinfo=UTC)
        )
        if after >= before:
            raise serializers.ValidationError(
                {"created_at_after": "Must be before created_at_before, which is now by default."},
                code="empty_range",
            )
        if before - after > MAX_RANGE:
            raise serializers.ValidationError(
                {"created_at_after": f"Must be {MAX_RANGE.days} days before the end at most."},
                code="range_too_long",
            )
        return {
            "created_at_after": after,
            "created_at_before": before,
            "group_by": GroupBy(attrs["group_by"]) if "group_by" in attrs else None,
            "bucket": Bucket(attrs["bucket"]) if "bucket" in attrs else None,
        }


class RunStatesSerializer(serializers.Serializer[Any]):
    """Number of runs in each state."""

    def get_fields(self) -> dict[str, Any]:
        """Return a number for each state."""
        return {
            state: fields.WholeNumber(
                read_only=True, help_text=f"Number of runs that are `{state}`."
            )
            for state in Run.State.values
        }


class PercentilesSerializer(serializers.Serializer[Any]):
    """Percentiles of a number of seconds."""

    def get_fields(self) -> dict[str, Any]:
        """Return a field for each percentile."""
        return {
            f"p{percent}": serializers.FloatField(
                read_only=True,
                allow_null=True,
                min_value=0,
                help_text=f"{percent}th percentile in seconds; null without a value.",
            )
            for percent in PERCENTILES
        }


class RunGroupSerializer(serializers.Serializer[Any]):
    """Statistics of a group of runs."""

    bucket_at = fields.Instant(
        read_only=True,
        allow_null=True,
        help_text="Start of the hour or day; null without `bucket`.",
    )
    periodic_task = fields.WholeNumber(
        read_only=True,
        allow_null=True,
        help_text="ID of the periodic task; null unless grouped by periodic task.",
    )
    periodic_task_name = fields.Text(
        read_only=True,
        allow_null=True,
        help_text="A name that the periodic task had in this range; null unless grouped by "
        "periodic task.",
    )
    task = fields.Text(
        read_only=True,
        allow_null=True,
        help_text="Name of the Celery task; null unless grouped by task.",
    )
    count = fields.WholeNumber(
        read_only=True,
        help_text="Number of runs; a run of several missed slots counts once for each slot.",
    )
    states = RunStatesSerializer(read_only=True, help_text="Number of runs in each state.")
    duration_seconds = PercentilesSerializer(
        read_only=True, help_text="Duration from `started_at` to `finished_at`."
    )
    lateness_seconds = PercentilesSerializer(
        read_only=True,
        help_text="Delay from `due_at` to `started_at`, of runs that started once and are not "
        "backfilled.",
    )


@extend_schema_serializer(
    examples=[OpenApiExample("By periodic task and day", ANSWER, response_only=True)]
)
class RunStatsSerializer(serializers.Serializer[Any]):
    """Statistics of the runs in a time range."""

    created_at_after = fields.Instant(read_only=True, help_text="Start of the range, inclusive.")
    created_at_before = fields.Instant(read_only=True, help_text="End of the range, exclusive.")
    is_complete = fields.Flag(
        read_only=True,
        help_text=f"Whether these are all groups; at most {MAX_GROUPS:,} are returned.",
    )
    results = RunGroupSerializer(
        many=True,
        read_only=True,
        help_text="The groups, by latest bucket, then by largest number of runs.",
    )
