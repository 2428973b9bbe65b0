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
            "periodic_task_name": "Import contacts",
            "task": None,
            "count": 1440,
            "states": {**NO_RUNS, "succeeded": 1437, "failed": 2, "missed": 1},
            "duration_seconds": {"p50": 2.5, "p95": 4.125},
            "lateness_seconds": {"p50": 0.011, "p95": 0.034},
        }
    ],
}


class RunStatsQuery(StrictSerializer):
    """Of which time, and by what the runs are put together."""

    created_at_after = fields.Instant(
        required=False,
        help_text="Entered at this moment or later; by default, one day before the end.",
    )
    created_at_before = fields.Instant(
        required=False,
        help_text="Entered before this moment; by default, now. It is "
        f"{MAX_RANGE.days} days after the beginning at most.",
    )
    group_by = fields.Choice(
        choices=[each.value for each in GroupBy],
        required=False,
        help_text="By what they are put together; without it, all are.",
    )
    bucket = fields.Choice(
        choices=[each.value for each in Bucket],
        required=False,
        help_text="Those of an hour or a day, in UTC, are told apart from others.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the whole range; refuse one that is empty or too long."""
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
    """How many stand so."""

    def get_fields(self) -> dict[str, Any]:
        """Return a number for each state."""
        return {
            state: fields.WholeNumber(read_only=True, help_text=f"How many are `{state}`.")
            for state in Run.State.values
        }


class PercentilesSerializer(serializers.Serializer[Any]):
    """What so many of a hundred do not exceed."""

    def get_fields(self) -> dict[str, Any]:
        """Return a number of seconds for each."""
        return {
            f"p{percent}": serializers.FloatField(
                read_only=True,
                allow_null=True,
                min_value=0,
                help_text=f"The smallest that {percent} % do not exceed; null without any.",
            )
            for percent in PERCENTILES
        }


class RunGroupSerializer(serializers.Serializer[Any]):
    """What came of the runs of a group."""

    bucket_at = fields.Instant(
        read_only=True,
        allow_null=True,
        help_text="When its hour or day begins; null without `bucket`.",
    )
    periodic_task = fields.WholeNumber(
        read_only=True,
        allow_null=True,
        help_text="The id of the periodic task; null unless they are put together by it.",
    )
    periodic_task_name = fields.Text(
        read_only=True,
        allow_null=True,
        help_text="A name that it had then; null unless they are put together by it.",
    )
    task = fields.Text(
        read_only=True,
        allow_null=True,
        help_text="The name of the task; null unless they are put together by it.",
    )
    count = fields.WholeNumber(
        read_only=True, help_text="How many; a stretch of slots counts as so many."
    )
    states = RunStatesSerializer(read_only=True, help_text="How many stand so.")
    duration_seconds = PercentilesSerializer(
        read_only=True, help_text="How long they ran: from `started_at` to `finished_at`."
    )
    lateness_seconds = PercentilesSerializer(
        read_only=True,
        help_text="How much later than due they started: from `due_at` to `started_at`, of those "
        "that have started once and are not backfilled.",
    )


@extend_schema_serializer(
    examples=[OpenApiExample("By periodic task and day", ANSWER, response_only=True)]
)
class RunStatsSerializer(serializers.Serializer[Any]):
    """What came of many runs."""

    created_at_after = fields.Instant(
        read_only=True, help_text="They were entered at this moment or later."
    )
    created_at_before = fields.Instant(
        read_only=True, help_text="They were entered before this moment."
    )
    is_complete = fields.Flag(
        read_only=True,
        help_text=f"Whether these are all groups, of which {MAX_GROUPS} are told at most.",
    )
    results = RunGroupSerializer(
        many=True,
        read_only=True,
        help_text="The groups: the latest buckets first, and in each the largest groups.",
    )
