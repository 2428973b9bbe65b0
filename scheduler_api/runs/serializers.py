"""Runs in JSON."""

from typing import Any, ClassVar

from django.db.models import TextChoices
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer

from scheduler_api.http import fields
from scheduler_api.http.serializers import StrictModelSerializer
from scheduler_api.runs.models import Run

ANSWER: dict[str, Any] = {
    "id": "0b0f6a0e-6a5c-5d5e-9a3b-0d9f5b8f7c11",
    "periodic_task": 1,
    "periodic_task_name": "Import contacts",
    "task": "project.tasks.import_contacts",
    "trigger": "schedule",
    "slot_at": "2027-03-28T01:00:30Z",
    "due_at": "2027-03-28T01:00:30Z",
    "slot_count": 1,
    "last_slot_at": None,
    "state": "queued",
    "reason": "",
    "created_at": "2027-03-28T01:00:30.004512Z",
    "queued_at": "2027-03-28T01:00:30.011873Z",
}


def names_of(choices: type[TextChoices]) -> str:
    """Return the values of some choices, for a sentence."""
    *others, last = (f"`{value}`" for value in choices.values)
    return f"{', '.join(others)} or {last}"


@extend_schema_serializer(examples=[OpenApiExample("A run", ANSWER, response_only=True)])
class RunSerializer(StrictModelSerializer):
    """One execution of a periodic task, or a stretch of slots that had none."""

    periodic_task = fields.WholeNumber(
        source="periodic_task_id",
        read_only=True,
        help_text="The id of the periodic task, which may be deleted since.",
    )

    class Meta:
        model = Run
        fields: ClassVar[tuple[str, ...]] = (
            "id",
            "periodic_task",
            "periodic_task_name",
            "task",
            "trigger",
            "slot_at",
            "due_at",
            "slot_count",
            "last_slot_at",
            "state",
            "reason",
            "created_at",
            "queued_at",
        )
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "periodic_task_name": {"help_text": "The name of the periodic task at that time."},
            "task": {"help_text": "The name of the task."},
            "trigger": {"help_text": f"Who asked for it: {names_of(Run.Trigger)}."},
            "slot_at": {
                "help_text": "The slot; of a stretch, the first one; null for one that "
                "somebody asked for."
            },
            "due_at": {"help_text": "When it was to be sent: the slot and its jitter."},
            "last_slot_at": {"help_text": "Of a stretch, the last slot; null for one slot."},
            "state": {"help_text": f"Where it stands: {names_of(Run.State)}."},
            "reason": {"help_text": "Why it stands so, for people; empty where that is plain."},
            "created_at": {"help_text": "When it was entered: beat took its slot up."},
            "queued_at": {"help_text": "When the broker confirmed its message; null before."},
        }
