"""Periodic tasks in JSON."""

import copy
import json
from typing import Any, ClassVar

from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from drf_spectacular.utils import (
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers

from scheduler_api.access.permissions import account_of
from scheduler_api.access.redaction import STARS, restored, stars_in
from scheduler_api.http import fields
from scheduler_api.http.problems import Mistake, ValidationFailed
from scheduler_api.http.serializers import StrictModelSerializer, StrictSerializer
from scheduler_api.openapi.bodies import examples
from scheduler_api.periodic_tasks.actions import Draft, follow
from scheduler_api.periodic_tasks.examples import ANSWER, EXAMPLE
from scheduler_api.periodic_tasks.fields import (
    Enabled,
    FollowedSchedule,
    MessageHeaders,
    StandingCount,
    StandingText,
    StoredArguments,
)
from scheduler_api.periodic_tasks.labels import Labels
from scheduler_api.periodic_tasks.models import (
    DEFAULT_BACKOFF_SECONDS,
    MAX_NOTE_LENGTH,
    POLICIES,
    ManagedTask,
    is_enabled,
    is_paused,
    managed_settings,
)
from scheduler_api.periodic_tasks.policies import (
    DAY_SECONDS,
    WEEK_SECONDS,
    YEAR_SECONDS,
    PolicyName,
    PolicyNumber,
    wrong_jitter,
)
from scheduler_api.periodic_tasks.slots import next_run_at
from scheduler_api.periodic_tasks.task_schedule import schedule_row
from scheduler_api.periodic_tasks.validation import mistakes_in, warnings_about
from scheduler_api.schedules.tables import KINDS, are_equal, kind_of

LARGEST_INTEGER = 2**31 - 1
MAX_NAME_LENGTH = 200
JSON_FIELDS = {"args", "kwargs", "headers"}


class WarningSerializer(serializers.Serializer[Any]):
    """Something to know of a definition, which is accepted all the same."""

    pointer = serializers.CharField(help_text="Which field: a JSON pointer (RFC 6901).")
    code = serializers.CharField(help_text="What it is; never changes.")
    detail = serializers.CharField(help_text="What it is and how to mend it, for people.")


@extend_schema_serializer(
    examples=examples(
        "Periodic task",
        EXAMPLE,
        changed="schedule",
        answer=ANSWER,
    )
)
class PeriodicTaskSerializer(StrictModelSerializer):
    """Which task is to run, with which arguments, and when.

    The schedule is named inline, as `schedule`, or by the id of a stored one, as `interval`,
    `crontab`, `solar` or `clocked`: exactly one of the five.
    """

    schedule = FollowedSchedule(
        required=False,
        allow_null=True,
        help_text="When: inline. An equal schedule that is stored is used again.",
    )
    interval = fields.Reference(
        queryset=IntervalSchedule.objects.all(), help_text="When: an interval schedule, by its id."
    )
    crontab = fields.Reference(
        queryset=CrontabSchedule.objects.all(), help_text="When: a crontab schedule, by its id."
    )
    solar = fields.Reference(
        queryset=SolarSchedule.objects.all(), help_text="When: a solar schedule, by its id."
    )
    clocked = fields.Reference(
        queryset=ClockedSchedule.objects.all(), help_text="When: a clocked schedule, by its id."
    )
    args = StoredArguments(json_type=list, help_text="The arguments given by position.")
    kwargs = StoredArguments(
        json_type=dict,
        help_text="The arguments given by name; a secret is answered as `***`, which keeps it.",
    )
    headers = MessageHeaders(
        json_type=dict,
        help_text="Headers of the message: names that begin with `x-`, and strings.",
    )
    misfire = PolicyName(
        choices=ManagedTask.Misfire.values,
        default=ManagedTask.Misfire.RUN_ONCE.value,
        help_text="What becomes of slots that nobody served in time: `skip` misses them, "
        "`run_once` makes up for the latest, `run_all` for each, the latest 100 at most.",
    )
    catchup_window_seconds = PolicyNumber(
        default=3600,
        min_value=0,
        max_value=YEAR_SECONDS,
        help_text="How late a slot may still be made up for.",
    )
    overlap = PolicyName(
        choices=ManagedTask.Overlap.values,
        default=ManagedTask.Overlap.ALLOW.value,
        help_text="What becomes of a slot while an earlier run has not ended: `allow` runs both, "
        "`skip` skips it, `buffer_one` lets one wait, `cancel_previous` ends the earlier run.",
    )
    jitter_seconds = PolicyNumber(
        default=0,
        min_value=0,
        max_value=DAY_SECONDS,
        help_text="Each run is sent up to so much later than its slot, always the same for a "
        "slot; at most the shortest time between two slots.",
    )
    max_runtime_seconds = PolicyNumber(
        default=3600,
        min_value=1,
        max_value=WEEK_SECONDS,
        help_text="After so long, a run of which no worker has told is lost.",
    )
    max_attempts = PolicyNumber(
        default=1,
        min_value=1,
        max_value=100,
        help_text="A run that has failed, or whose worker was lost, starts again until it has "
        "started so often. Celery's own retries count, and are not cut short.",
    )
    retry_backoff_seconds = PolicyNumber(
        default=DEFAULT_BACKOFF_SECONDS,
        min_value=0,
        max_value=DAY_SECONDS,
        help_text="How long it waits before it starts the second time; twice as long before each "
        "time after that, 6 hours at most, and by chance up to a quarter longer.",
    )
    pause_after_failures = PolicyNumber(
        default=0,
        min_value=0,
        max_value=1000,
        help_text="After so many runs in a row that failed or were lost it is paused, until "
        "somebody resumes it; 0 for never.",
    )
    enabled = Enabled(default=True, help_text="Whether it runs at all.")
    paused = serializers.SerializerMethodField(
        help_text="Whether it is paused: see `pause/` and `resume/`."
    )
    paused_until = serializers.SerializerMethodField(
        help_text="When it resumes by itself; null for never, or when it is not paused."
    )
    pause_note = serializers.SerializerMethodField(help_text="Why it is paused.")
    labels = Labels(
        default=dict, help_text='Keys and values to find it by: `{"team": "billing"}`.'
    )
    owner = serializers.SerializerMethodField(
        help_text="The account whose it is; null for nobody's."
    )
    managed_by = serializers.SerializerMethodField(
        help_text="Who writes it: `api`, `manifest`, `settings` or `admin`."
    )
    revision = serializers.SerializerMethodField(
        help_text="How often it was written over the API, the first time included."
    )
    next_run_at = serializers.SerializerMethodField(
        help_text="The slot that beat waits for, in the past when it is overdue; null for none."
    )
    missed_count = StandingCount(read_only=True, help_text="How many of its slots were missed.")
    last_error = StandingText(
        read_only=True,
        help_text="Why beat cannot plan or send it, and tries again; empty when it can.",
    )
    warnings = serializers.SerializerMethodField(
        help_text="What may keep it from running, though it is not wrong: `no_worker` when "
        "none that is alive has its task, `unregistered_task` when none ever had."
    )
    # What it validates.
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
            "last_run_at",
            "total_run_count",
            "missed_count",
            "last_error",
            "warnings",
            "date_changed",
        )
        extra_kwargs: ClassVar = {
            "name": {"validators": [], "help_text": "Unique among all periodic tasks."},
            "task": {"help_text": "The name of a task, as `GET /api/v1/tasks/` lists them."},
            "queue": {
                "allow_blank": False,
                "help_text": "A configured queue; by default, where the task is routed.",
            },
            "exchange": {"allow_blank": False, "help_text": "Only where a setting opens it."},
            "routing_key": {"allow_blank": False, "help_text": "Only where a setting opens it."},
            "priority": {
                "min_value": 0,
                "max_value": 255,
                "help_text": "The message's priority; on RabbitMQ the highest is served first.",
            },
            "start_time": {"help_text": "The first possible slot."},
            "expires": {"help_text": "The end of the schedule: no slot from here on."},
            "expire_seconds": {
                "min_value": 1,
                "max_value": LARGEST_INTEGER,
                "help_text": "How long a message may wait for a worker before it is dropped.",
            },
            "one_off": {"help_text": "Run at the first slot only; always so when clocked."},
            "description": {"help_text": "What it is for, for people."},
            "last_run_at": {"help_text": "When it was last sent to a worker."},
            "total_run_count": {
                "help_text": "How often it was sent to a worker.",
                "min_value": None,
                "max_value": None,
            },
            "date_changed": {"help_text": "When the row was last written."},
        }

    def get_paused(self, task: PeriodicTask) -> bool:
        """Tell whether it is paused."""
        return is_paused(task)

    @extend_schema_field(fields.Instant(allow_null=True))
    def get_paused_until(self, task: PeriodicTask) -> str | None:
        """Return when it resumes by itself."""
        until = managed_settings(task).paused_until if is_paused(task) else None
        return fields.in_utc(until) if until else None

    def get_pause_note(self, task: PeriodicTask) -> str:
        """Return why it is paused."""
        return managed_settings(task).pause_note if is_paused(task) else ""

    def get_owner(self, task: Any) -> str | None:
        """Return the name, which the view has fetched, of the account whose it is."""
        name: str | None = task.owner_name
        return name

    def get_managed_by(self, task: PeriodicTask) -> str:
        """Return who writes it."""
        return managed_settings(task).managed_by

    def get_revision(self, task: PeriodicTask) -> int:
        """Return how often it was written over the API."""
        return managed_settings(task).revision

    @extend_schema_field(fields.Instant(allow_null=True))
    def get_next_run_at(self, task: PeriodicTask) -> Any:
        """Return the slot that beat waits for."""
        slot = next_run_at(task)
        return slot and fields.in_utc(slot)

    @extend_schema_field(WarningSerializer(many=True))
    def get_warnings(self, task: Any) -> list[dict[str, str]]:
        """Return what may keep it from running."""
        return [warning.as_json() for warning in warnings_about(task)]

    def check(
        self, data: Any, *, task: PeriodicTask | None = None, partial: bool = False
    ) -> Draft:
        """Check what is sent for a new periodic task, or for one that is stored.

        Raise ValidationError or ValidationFailed with all that is wrong.

        One serializer checks many: its fields take longer to make than to use.
        """
        self.instance, self.partial, self.initial_data = task, partial, data
        self.run_validation(data)
        return self.draft

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Apply the values to a copy of the task, and report all that is wrong with it."""
        before = self.instance or PeriodicTask()
        task = copy.copy(before)
        task.enabled = is_enabled(before)
        labels = attrs.pop("labels", None)
        policies = {name: attrs.pop(name) for name in POLICIES if name in attrs}
        schedule, mistakes = self.choose_schedule(attrs)
        if schedule is not None:
            follow(task, schedule)
            if task.clocked and "one_off" not in self.initial_data:
                attrs["one_off"] = True
        for field in sorted(JSON_FIELDS & attrs.keys()):
            stored = getattr(before, field)
            known = fields.read_json(stored, type(attrs[field]))
            value = restored(attrs[field], known)
            if json.dumps(value) == json.dumps(known):
                attrs[field] = stored
                continue
            attrs[field] = json.dumps(value)
            mistakes += [only_stars(pointer) for pointer in stars_in(value, f"/{field}")]
        changed = {
            field
            for field, value in attrs.items()
            if self.instance is None or value != getattr(task, field)
        }
        for field, value in attrs.items():
            setattr(task, field, value)
        if schedule_row(task) != schedule_row(before):
            changed.add("schedule")
        stored_jitter = managed_settings(before).jitter_seconds
        jitter = policies.get("jitter_seconds", stored_jitter)
        if "schedule" in changed or jitter != stored_jitter:
            mistakes += wrong_jitter(task, jitter)
        mistakes += mistakes_in(task, changed, by=account_of(self.context["request"]))
        if mistakes:
            raise ValidationFailed(errors=mistakes)
        self.draft = Draft(task=task, labels=labels, policies=policies)
        return attrs

    def choose_schedule(self, attrs: dict[str, Any]) -> tuple[Any, list[Mistake]]:
        """Take the five fields that can name a schedule, and return the one that does.

        None for the one that the task has. An answer sent back names its schedule twice,
        inline and by its id: they may, as long as they agree.
        """
        inline = attrs.pop("schedule", None)
        sent = {kind: attrs.pop(kind) for kind in KINDS if kind in attrs}
        references = {kind: row for kind, row in sent.items() if row is not None}
        if len(references) > 1:
            kind = list(references)[1]
            return None, [ambiguous(kind)]
        for kind, row in references.items():
            if inline is not None and not are_equal(inline, row):
                return None, [ambiguous(kind)]
            return row, []
        current = schedule_row(self.instance) if self.instance else None
        if inline is not None and current is not None and are_equal(inline, current):
            return current, []
        keeps = self.partial and current is not None and kind_of(current).name not in sent
        if inline is None and not keeps:
            return None, [
                Mistake(
                    pointer="/schedule",
                    code="required",
                    detail='Say when: "schedule": {"type": "interval", "every": 5, '
                    '"period": "minutes"}, or a stored one by its id: "interval": 7.',
                )
            ]
        return inline, []


def only_stars(pointer: str) -> Mistake:
    """Return the refusal of stars that stand for no stored secret."""
    return Mistake(
        pointer=pointer,
        code="redacted",
        detail=f'Send the value itself: "{STARS}" keeps one that is stored under this name, '
        "in a list only if the whole list is sent as it was read.",
    )


def ambiguous(kind: str) -> Mistake:
    """Return the refusal of a second schedule."""
    return Mistake(
        pointer=f"/{kind}",
        code="ambiguous",
        detail="Name one schedule: inline as schedule, or by its id in one of "
        f"{', '.join(KINDS)}.",
    )


class PauseSerializer(StrictSerializer):
    """Why a periodic task is paused, and until when."""

    note = fields.Text(
        source="why",
        default="",
        allow_blank=True,
        max_length=MAX_NOTE_LENGTH,
        help_text="Why, for people.",
    )
    until = fields.FutureInstant(
        default=None,
        allow_null=True,
        help_text="When it resumes by itself; null for when somebody resumes it.",
    )


class NamedPeriodicTaskSerializer(PeriodicTaskSerializer):
    """A periodic task of which the address has the name, so that the body need not have it."""

    name = fields.Text(
        required=False,
        max_length=MAX_NAME_LENGTH,
        help_text="Unique among all periodic tasks; by default, that of the address.",
    )
