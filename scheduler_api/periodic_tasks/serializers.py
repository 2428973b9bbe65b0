"""Periodic tasks in JSON."""

import copy
from typing import Any, ClassVar

from django_celery_beat.models import PeriodicTask
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from scheduler_api.access.permissions import account_of
from scheduler_api.catalogue.queue_workers import queue_workers_of_request
from scheduler_api.http import fields
from scheduler_api.http.names import AddressName, Name
from scheduler_api.http.problems import ValidationFailed, first_mistakes
from scheduler_api.http.serializers import StrictSerializer
from scheduler_api.openapi.bodies import examples
from scheduler_api.periodic_tasks import kept_secrets, last_run
from scheduler_api.periodic_tasks.actions import Draft, set_schedule
from scheduler_api.periodic_tasks.examples import ANSWER, EXAMPLE
from scheduler_api.periodic_tasks.fields import (
    AgendaCount,
    AgendaText,
    EnabledFlag,
    MessageHeaders,
    StoredArguments,
)
from scheduler_api.periodic_tasks.labels import Labels
from scheduler_api.periodic_tasks.last_run import LastRunSerializer
from scheduler_api.periodic_tasks.models import (
    MAX_NOTE_LENGTH,
    POLICIES,
    is_enabled,
    is_paused,
    managed_settings,
)
from scheduler_api.periodic_tasks.policies import PolicySerializer, wrong_jitter
from scheduler_api.periodic_tasks.queue_warnings import warnings_about_workers
from scheduler_api.periodic_tasks.schedule_reference import ScheduleReferenceSerializer
from scheduler_api.periodic_tasks.slots import next_run_at
from scheduler_api.periodic_tasks.task_schedule import schedule_row
from scheduler_api.periodic_tasks.validation import mistakes_in
from scheduler_api.periodic_tasks.warnings import warnings_about_entry, warnings_about_runs
from scheduler_api.schedules.tables import KINDS

MAX_INTEGER = 2**31 - 1
MAX_NAME_LENGTH = 200


class WarningSerializer(serializers.Serializer[Any]):
    """A possible problem with a definition that is accepted nevertheless."""

    pointer = serializers.CharField(help_text="Field, as a JSON pointer (RFC 6901).")
    code = serializers.CharField(help_text="Kind of warning, for programs; it never changes.")
    detail = serializers.CharField(help_text="Explanation with a remedy, for people.")


@extend_schema_serializer(
    examples=examples(
        "Periodic task",
        EXAMPLE,
        changed="schedule",
        answer=ANSWER,
    )
)
class PeriodicTaskSerializer(ScheduleReferenceSerializer, PolicySerializer):
    """A Celery task that runs on a schedule, with fixed arguments.

    Its schedule is inline, in `schedule`, or stored, with its ID in `interval`, `crontab`, `solar`
    or `clocked`. A request has exactly one of the five.
    """

    name = AddressName(max_length=MAX_NAME_LENGTH, help_text="Unique among all periodic tasks.")
    task = Name(
        max_length=MAX_NAME_LENGTH,
        help_text="Name of a task, as listed by `GET /api/v1/tasks/`.",
    )
    args = StoredArguments(json_type=list, help_text="Positional arguments of the task.")
    kwargs = StoredArguments(
        json_type=dict,
        help_text="Keyword arguments of the task. A secret reads as `***`; sending `***` back "
        "keeps it.",
    )
    headers = MessageHeaders(
        json_type=dict,
        help_text="Headers of the message. The names of Celery's own are refused.",
    )
    enabled = EnabledFlag(
        default=True, help_text="Whether the periodic task runs. A pause does not change it."
    )
    paused = serializers.SerializerMethodField(
        help_text="Whether the periodic task is paused: see `pause/` and `resume/`."
    )
    paused_until = serializers.SerializerMethodField(
        help_text="End of the pause; null without an end, or if not paused."
    )
    pause_note = serializers.SerializerMethodField(help_text="Reason for the pause.")
    labels = Labels(
        default=dict, help_text='Keys and values for filtering: `{"team": "billing"}`.'
    )
    owner = serializers.SerializerMethodField(
        help_text="Name of the owning account; null if unowned."
    )
    managed_by = serializers.SerializerMethodField(
        help_text="Source of the definition: `api`, `manifest`, `settings` or `admin`."
    )
    revision = serializers.SerializerMethodField(
        help_text="Number of writes over the API, including the first."
    )
    next_run_at = serializers.SerializerMethodField(
        help_text="Time of the next slot; in the past if it is overdue, null without one."
    )
    last_run = serializers.SerializerMethodField(
        help_text="The newest run, in any state; null if there is none in the ledger."
    )
    missed_count = AgendaCount(read_only=True, help_text="Number of missed slots.")
    last_error = AgendaText(
        read_only=True,
        help_text="Reason why beat cannot plan or send the periodic task; empty if it can. Beat "
        "tries again.",
    )
    warnings = serializers.SerializerMethodField(
        help_text="Reasons why runs may not start although the definition is valid: `no_worker` "
        "if no live worker of its queue has registered the task, `unregistered_task` if none ever "
        "has; `shared_queue` if workers without the task use its queue; `no_priorities` if the "
        "queue ignores `priority`; "
        "`ignored_setting` for a part of its entry in the settings that beat ignores; "
        "`quarantined` if beat cannot send it; `moment_passed` if a clocked one will not run; "
        "after an edit, `overwritten_by_settings` for a name in the settings."
    )
    # The result of validate().
    draft: Draft

    class Meta:
        model = PeriodicTask
        fields: ClassVar = (
            "id",
            "name",
            "task",
            "schedule",
            *KINDS,
            "args",
            "kwargs",
            "queue",
            "exchange",
            "routing_key",
            "headers",
            "priority",
            "start_time",
            "expires",
            "expire_seconds",
            "one_off",
            *POLICIES,
            "enabled",
            "paused",
            "paused_until",
            "pause_note",
            "description",
            "labels",
            "owner",
            "managed_by",
            "revision",
            "next_run_at",
            "last_run",
            "last_run_at",
            "total_run_count",
            "missed_count",
            "last_error",
            "warnings",
            "date_changed",
        )
        extra_kwargs: ClassVar = {
            "queue": {
                "allow_blank": False,
                "help_text": "Name of a configured queue; defaults to the route of the task.",
            },
            "exchange": {
                "allow_blank": False,
                "help_text": "AMQP exchange; accepted only if `ALLOW_CUSTOM_ROUTING` is set.",
            },
            "routing_key": {
                "allow_blank": False,
                "help_text": "AMQP routing key; accepted only if `ALLOW_CUSTOM_ROUTING` is set.",
            },
            "priority": {
                "min_value": 0,
                "max_value": 255,
                "help_text": "Priority of the message; RabbitMQ delivers the highest first.",
            },
            "start_time": {"help_text": "Earliest possible slot."},
            "expires": {"help_text": "End of the schedule; no slot at or after this time."},
            "expire_seconds": {
                "min_value": 1,
                "max_value": MAX_INTEGER,
                "help_text": "Seconds that a message may wait for a worker before it is dropped.",
            },
            "one_off": {"help_text": "Whether only the first slot runs; always true if clocked."},
            "description": {"help_text": "Purpose of the periodic task, for people."},
            "last_run_at": {"help_text": "Time of the latest run that beat sent to a worker."},
            "total_run_count": {
                "help_text": "Number of runs that beat sent to a worker.",
                "min_value": None,
                "max_value": None,
            },
            "date_changed": {"help_text": "Time of the latest write to the row."},
        }

    def get_paused(self, task: PeriodicTask) -> bool:
        """Return whether the task is paused."""
        return is_paused(task)

    @extend_schema_field(fields.Instant(allow_null=True))
    def get_paused_until(self, task: PeriodicTask) -> str | None:
        """Return the end of the pause."""
        until = managed_settings(task).paused_until if is_paused(task) else None
        return fields.in_utc(until) if until else None

    def get_pause_note(self, task: PeriodicTask) -> str:
        """Return the reason for the pause."""
        return managed_settings(task).pause_note if is_paused(task) else ""

    def get_owner(self, task: Any) -> str | None:
        """Return the name of the owning account, which the view has annotated."""
        name: str | None = task.owner_name
        return name

    def get_managed_by(self, task: PeriodicTask) -> str:
        """Return the source of the definition."""
        return managed_settings(task).managed_by

    def get_revision(self, task: PeriodicTask) -> int:
        """Return the number of writes through the API."""
        return managed_settings(task).revision

    @extend_schema_field(fields.Instant(allow_null=True))
    def get_next_run_at(self, task: PeriodicTask) -> Any:
        """Return the slot that beat waits for."""
        slot = next_run_at(task)
        return slot and fields.in_utc(slot)

    @extend_schema_field(LastRunSerializer(allow_null=True))
    def get_last_run(self, task: Any) -> dict[str, Any] | None:
        """Return the newest run, which the view has annotated."""
        return last_run.serialize(task.last_run)

    @extend_schema_field(WarningSerializer(many=True))
    def get_warnings(self, task: Any) -> list[dict[str, str]]:
        """Return reasons why runs may not start."""
        warnings = [
            *warnings_about_workers(task, queue_workers_of_request()),
            *warnings_about_entry(task),
            *warnings_about_runs(task),
        ]
        return [warning.as_json() for warning in warnings]

    def check(
        self, data: Any, *, task: PeriodicTask | None = None, partial: bool = False
    ) -> Draft:
        """Validate the body for a new or a stored periodic task; return the draft.

        One serializer checks many bodies, because building its fields takes longer than using
        them.

        Raises:
            ValidationError: a field has a wrong type or value.
            ValidationFailed: the fields together break a rule; it carries all mistakes.

        """
        self.instance, self.partial, self.initial_data = task, partial, data
        self.run_validation(data)
        return self.draft

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Apply the values to a copy of the task, and report all mistakes at once."""
        before = self.instance or PeriodicTask()
        task = copy.copy(before)
        task.enabled = is_enabled(before)
        labels = attrs.pop("labels", None)
        policies = {name: attrs.pop(name) for name in POLICIES if name in attrs}
        schedule, mistakes = self.choose_schedule(attrs)
        if schedule is not None:
            set_schedule(task, schedule)
            if task.clocked and "one_off" not in self.initial_data:
                attrs["one_off"] = True
        secrets = kept_secrets.restore(attrs, before)
        attrs.update(secrets.texts)
        mistakes += secrets.mistakes
        changed = {
            field
            for field, value in attrs.items()
            if self.instance is None or value != getattr(task, field)
        }
        for field, value in attrs.items():
            setattr(task, field, value)
        if schedule_row(task) != schedule_row(before):
            changed.add("schedule")
        mistakes += kept_secrets.misdirected_secrets(secrets.kept, before, task)
        managed = managed_settings(before)
        changed |= {name for name, value in policies.items() if value != getattr(managed, name)}
        stored_jitter = managed.jitter_seconds
        jitter = policies.get("jitter_seconds", stored_jitter)
        if "schedule" in changed or jitter != stored_jitter:
            mistakes += wrong_jitter(task, jitter)
        account = account_of(self.context["request"])
        mistakes += first_mistakes(mistakes_in(task, changed, by=account))
        if mistakes:
            raise ValidationFailed(errors=mistakes)
        self.draft = Draft(task=task, labels=labels, policies=policies)
        return attrs


class PauseSerializer(StrictSerializer):
    """The reason and the end of a pause."""

    note = fields.Text(
        source="reason",
        default="",
        allow_blank=True,
        max_length=MAX_NOTE_LENGTH,
        help_text="Reason for the pause, for people.",
    )
    until = fields.FutureInstant(
        default=None,
        allow_null=True,
        help_text="End of the pause; null to stay paused until a call of `resume/`.",
    )


class NamedPeriodicTaskSerializer(PeriodicTaskSerializer):
    """A periodic task with its name in the URL: the body may omit it."""

    name = AddressName(
        required=False,
        max_length=MAX_NAME_LENGTH,
        help_text="Unique among all periodic tasks; defaults to the name in the URL.",
    )
