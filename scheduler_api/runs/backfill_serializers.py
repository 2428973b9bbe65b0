"""Backfills in JSON."""

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from scheduler_api.http import fields
from scheduler_api.http.problems import ValidationFailed
from scheduler_api.http.serializers import StrictSerializer
from scheduler_api.periodic_tasks.task_schedule import schedule_row
from scheduler_api.periodic_tasks.validation import wrong_arguments
from scheduler_api.runs.models import Run
from scheduler_api.schedules.limits import beyond_limits
from scheduler_api.schedules.slots import EPOCH

# Runs that a response lists.
MAX_LISTED = 1000
RANGE = {"from": "2026-03-28T01:00:00Z", "until": "2026-03-28T01:01:00Z"}
ANSWER: dict[str, Any] = {
    "count": 2,
    "in_ledger": 0,
    "left_to_beat": 0,
    "runs": [
        {"id": "0b0f6a0e-6a5c-5d5e-9a3b-0d9f5b8f7c11", "slot_at": "2026-03-28T01:00:00Z"},
        {"id": "4d1c3f0a-91b7-5a9e-8a53-3a1f3d1c4a52", "slot_at": "2026-03-28T01:00:30Z"},
    ],
}


@extend_schema_serializer(examples=[OpenApiExample("A minute", RANGE, request_only=True)])
class BackfillSerializer(StrictSerializer):
    """The time range of the slots."""

    def get_fields(self) -> dict[str, Any]:
        """Return the fields; `from` is a keyword of Python and cannot be an attribute."""
        return {
            "from": fields.Instant(help_text="Start of the range, inclusive."),
            "until": fields.Instant(help_text="End of the range, exclusive; not in the future."),
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the range; raise ValidationFailed if the task may not or cannot run."""
        start, end = attrs["from"], attrs["until"]
        if end > datetime.now(UTC):
            detail = (
                "Its slots are still to come, and are beat's: end at this moment at the latest."
            )
            raise serializers.ValidationError({"until": detail}, code="in_the_future")
        if start >= end:
            raise serializers.ValidationError(
                {"until": "Must be later than `from`."}, code="empty_range"
            )
        if start < EPOCH:
            raise serializers.ValidationError(
                {"from": f"Must be {fields.in_utc(EPOCH)} or later."}, code="too_early"
            )
        task, account = self.context["task"], self.context["account"]
        limits = beyond_limits(task, account, schedule=schedule_row(task))
        if mistakes := [*wrong_arguments(task, by=account), *limits]:
            raise ValidationFailed(errors=mistakes)
        return {"start": start, "end": end}


class BackfilledRunSerializer(serializers.Serializer[Run]):
    """A run that was created for a slot."""

    id = serializers.UUIDField(read_only=True, help_text="ID of the run.")
    slot_at = fields.Instant(read_only=True, help_text="Scheduled time.")


@extend_schema_serializer(
    examples=[
        OpenApiExample("A minute", ANSWER, response_only=True, status_codes=["202"]),
    ]
)
class BackfillResponseSerializer(serializers.Serializer[Any]):
    """The result of a backfill."""

    count = fields.WholeNumber(read_only=True, help_text="Number of runs created.")
    in_ledger = fields.WholeNumber(
        read_only=True,
        help_text="Number of slots without a new run, because they have one already.",
    )
    left_to_beat = fields.WholeNumber(
        read_only=True,
        help_text="Number of slots without a new run, because beat is about to handle them.",
    )
    runs = serializers.ListField(
        child=BackfilledRunSerializer(),
        read_only=True,
        help_text=f"The new runs, oldest slot first, at most {MAX_LISTED:,}.",
    )
