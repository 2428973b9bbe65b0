"""Backfills in JSON."""

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from scheduler_api.http import fields
from scheduler_api.http.problems import ValidationFailed
from scheduler_api.http.serializers import StrictSerializer
from scheduler_api.periodic_tasks.validation import beyond_account, wrong_arguments
from scheduler_api.runs.models import Run
from scheduler_api.schedules.slots import EPOCH

# The ids of so many runs are told.
MAX_TOLD = 1000
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
    """Of which range the slots are to be run."""

    def get_fields(self) -> dict[str, Any]:
        """Return the fields, of which one has a name that Python has taken."""
        return {
            "from": fields.Instant(help_text="The slots at this moment or later."),
            "until": fields.Instant(help_text="The slots before this moment, which has passed."),
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the range; raise ValidationFailed for what may not be run, or cannot."""
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
        if mistakes := [*wrong_arguments(task), *beyond_account(task, account)]:
            raise ValidationFailed(errors=mistakes)
        return {"start": start, "end": end}


class BackfilledRunSerializer(serializers.Serializer[Run]):
    """A run that was entered for a slot."""

    id = serializers.UUIDField(read_only=True, help_text="The id of the run.")
    slot_at = fields.Instant(read_only=True, help_text="The slot.")


@extend_schema_serializer(
    examples=[
        OpenApiExample("A minute", ANSWER, response_only=True, status_codes=["202"]),
    ]
)
class BackfillAnswerSerializer(serializers.Serializer[Any]):
    """What becomes of the slots of a range."""

    count = fields.WholeNumber(read_only=True, help_text="How many runs were entered.")
    in_ledger = fields.WholeNumber(
        read_only=True, help_text="How many slots were left out, since the ledger has their runs."
    )
    left_to_beat = fields.WholeNumber(
        read_only=True,
        help_text="How many were left out, since beat has yet to decide about them.",
    )
    runs = serializers.ListField(
        child=BackfilledRunSerializer(),
        read_only=True,
        help_text=f"The runs, the oldest slot first; the first {MAX_TOLD:,} of them.",
    )
