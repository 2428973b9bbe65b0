"""Runs in JSON."""

import copy
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import TextChoices
from drf_spectacular.utils import (
    OpenApiExample,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers

from scheduler_api.http import fields
from scheduler_api.http.problems import ValidationFailed
from scheduler_api.http.serializers import StrictModelSerializer, StrictSerializer
from scheduler_api.periodic_tasks import kept_secrets
from scheduler_api.periodic_tasks.fields import StoredArguments
from scheduler_api.periodic_tasks.validation import wrong_arguments
from scheduler_api.runs.models import Run
from scheduler_api.runs.results import stored_result
from scheduler_api.runs.waiting import MAX_SECONDS
from scheduler_api.schedules.limits import beyond_limits

ANSWER: dict[str, Any] = {
    "id": "0b0f6a0e-6a5c-5d5e-9a3b-0d9f5b8f7c11",
    "periodic_task": 1,
    "periodic_task_name": "Import customers",
    "task": "project.tasks.import_contacts",
    "trigger": "schedule",
    "slot_at": "2027-03-28T01:00:30Z",
    "due_at": "2027-03-28T01:00:30Z",
    "slot_count": 1,
    "last_slot_at": None,
    "state": "succeeded",
    "reason": "",
    "created_at": "2027-03-28T01:00:30.004512Z",
    "queued_at": "2027-03-28T01:00:30.011873Z",
    "started_at": "2027-03-28T01:00:30.014203Z",
    "finished_at": "2027-03-28T01:00:32.514203Z",
    "queue_seconds": 0.002,
    "duration_seconds": 2.5,
    "worker": "celery@worker-1",
    "attempts": 1,
}
WHOLE_ANSWER: dict[str, Any] = {
    **ANSWER,
    "args": ["customers", "newsletter"],
    "kwargs": {"be_careful": True},
    "result": "imported customers and newsletter",
    "is_result_truncated": False,
    "error": None,
}


SECONDS = {"type": ["number", "null"], "minimum": 0}


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds between two times, to the millisecond; None if either is unknown."""
    if start is None or end is None:
        return None
    return round(max((end - start).total_seconds(), 0.0), 3)


OTHER_ARGUMENTS: dict[str, Any] = {"kwargs": {"be_careful": False}}
ASKED_FOR: dict[str, Any] = {
    **WHOLE_ANSWER,
    **OTHER_ARGUMENTS,
    "args": ["arg1", "arg2"],
    "trigger": "manual",
    "slot_at": None,
    "state": "pending",
    "worker": "",
    "attempts": 0,
    **dict.fromkeys(
        ("queued_at", "started_at", "finished_at", "queue_seconds", "duration_seconds", "result")
    ),
}


def names_of(choices: type[TextChoices]) -> str:
    """Return the values of choices as a list in a sentence."""
    *others, last = (f"`{value}`" for value in choices.values)
    return f"{', '.join(others)} or {last}"


@extend_schema_serializer(examples=[OpenApiExample("A run", ANSWER, response_only=True)])
class RunSerializer(StrictModelSerializer):
    """One execution of a task, or several missed slots in a row."""

    periodic_task = fields.WholeNumber(
        source="periodic_task_id",
        read_only=True,
        allow_null=True,
        help_text="ID of the periodic task, which may have been deleted; null for a run without a "
        "definition.",
    )
    queue_seconds = serializers.SerializerMethodField(
        help_text="Seconds from `queued_at` to `started_at`; null after more than one attempt."
    )
    duration_seconds = serializers.SerializerMethodField(
        help_text="Seconds from `started_at` to `finished_at`; null until the run has ended."
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
            "started_at",
            "finished_at",
            "queue_seconds",
            "duration_seconds",
            "worker",
            "attempts",
        )
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "periodic_task_name": {
                "help_text": "Name of the periodic task when the run was created; empty without "
                "one."
            },
            "task": {"help_text": "Name of the Celery task."},
            "trigger": {"help_text": f"Cause of the run: {names_of(Run.Trigger)}."},
            "slot_at": {
                "help_text": "Scheduled time; the first one of several missed slots. Null for a "
                "run that was requested without a slot."
            },
            "due_at": {"help_text": "Time when the run was due: its slot plus jitter."},
            "slot_count": {
                "help_text": "Number of slots; more than one only for missed slots in a row."
            },
            "last_slot_at": {"help_text": "Last of several missed slots; null for one slot."},
            "state": {"help_text": f"State of the run: {names_of(Run.State)}."},
            "reason": {"help_text": "Reason for the state, for people; may be empty."},
            "created_at": {"help_text": "Time of creation."},
            "queued_at": {
                "help_text": "Time when the broker confirmed the message; null until then."
            },
            "started_at": {"help_text": "Time when the last attempt started; null until then."},
            "finished_at": {
                "help_text": "Time when the run ended; null until then, and if it never ran."
            },
            "worker": {"help_text": "Name of the Celery worker that started the last attempt."},
            "attempts": {"help_text": "Number of starts: one, plus one for each retry."},
        }

    @extend_schema_field(SECONDS)
    def get_queue_seconds(self, run: Run) -> float | None:
        """Seconds from `queued_at` to `started_at`; null after more than one attempt."""
        return seconds_between(run.queued_at, run.started_at) if run.attempts == 1 else None

    @extend_schema_field(SECONDS)
    def get_duration_seconds(self, run: Run) -> float | None:
        """Return the duration of the last attempt."""
        return seconds_between(run.started_at, run.finished_at)


class RunNowSerializer(StrictSerializer):
    """The arguments of a run that is requested now; by default those of the periodic task."""

    args = StoredArguments(
        json_type=list,
        required=False,
        help_text="Positional arguments, in place of those of the periodic task.",
    )
    kwargs = StoredArguments(
        json_type=dict,
        required=False,
        help_text="Keyword arguments, in place of those of the periodic task; `***` stands for "
        "its secret of the same name.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return both as JSON; raise ValidationFailed if the task cannot be called with them."""
        account, task = self.context["account"], copy.copy(self.context["task"])
        own = copy.copy(task)
        sent = {name: value for name, value in attrs.items() if name in self.initial_data}
        secrets = kept_secrets.restore(sent, own, names=("args", "kwargs"))
        for name, text in secrets.texts.items():
            setattr(task, name, text)
        mistakes = [
            *secrets.mistakes,
            *kept_secrets.misdirected_secrets(secrets.kept, own, task),
        ]
        mistakes += [
            mistake
            for mistake in wrong_arguments(task, by=account)
            # A stored call of a task that is not known yet is judged as beat does.
            if sent or task.pk is None or mistake.code != "unregistered_task"
        ]
        mistakes += beyond_limits(task, account)
        if mistakes:
            raise ValidationFailed(errors=mistakes)
        return {"args": task.args or "[]", "kwargs": task.kwargs or "{}"}


class WaitQuery(StrictSerializer):
    """The time to wait for the end of a run."""

    wait = fields.Digits(
        min_value=0,
        max_value=MAX_SECONDS,
        default=0,
        help_text="Maximum number of seconds to wait for the end of the run. Needs `runs:read`.",
    )


class RunErrorSerializer(StrictSerializer):
    """The exception that ended a run."""

    type = fields.Text(read_only=True, help_text="Class of the exception.")
    message = fields.Text(
        read_only=True, help_text="Message of the exception, at most 65,536 characters."
    )
    traceback = fields.Text(
        read_only=True, help_text="Traceback of the exception: its last 65,536 characters."
    )


@extend_schema_field({})
class StoredResult(serializers.ReadOnlyField):
    """A JSON value of any type, stored as text."""

    def to_representation(self, value: str) -> Any:
        """Read the stored text."""
        return stored_result(value)


@extend_schema_serializer(
    examples=[
        OpenApiExample("A run", WHOLE_ANSWER, response_only=True, status_codes=["200", "202"])
    ]
)
class RunDetailSerializer(RunSerializer):
    """One execution of a task, with its arguments, result and error."""

    args = StoredArguments(json_type=list, read_only=True, help_text="Positional arguments.")
    kwargs = StoredArguments(
        json_type=dict,
        read_only=True,
        help_text="Keyword arguments; a secret is shown as `***`.",
    )
    result = StoredResult(
        help_text="Return value of the task, as text if it is not JSON; null without a result."
    )
    error = serializers.SerializerMethodField(
        help_text="Exception that ended the run; null without one."
    )

    class Meta(RunSerializer.Meta):
        fields = (
            *RunSerializer.Meta.fields,
            "args",
            "kwargs",
            "result",
            "is_result_truncated",
            "error",
        )
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            **RunSerializer.Meta.extra_kwargs,
            "is_result_truncated": {
                "help_text": "Whether the result was longer than 65,536 characters of JSON: "
                "`result` is then the text of its beginning."
            },
        }

    @extend_schema_field(RunErrorSerializer(allow_null=True))
    def get_error(self, run: Run) -> dict[str, str] | None:
        """Return the exception."""
        if not run.error_type:
            return None
        return {
            "type": run.error_type,
            "message": run.error_message,
            "traceback": run.traceback,
        }
