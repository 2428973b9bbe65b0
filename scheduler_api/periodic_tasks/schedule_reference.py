"""The schedule of a periodic task in JSON: inline, or by the id of a stored one."""

from collections.abc import Mapping
from typing import Any

from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from rest_framework.exceptions import ValidationError

from scheduler_api.http import fields
from scheduler_api.http.problems import Mistake
from scheduler_api.http.serializers import StrictModelSerializer
from scheduler_api.periodic_tasks.task_schedule import schedule_row
from scheduler_api.schedules.inline import InlineSchedule
from scheduler_api.schedules.inline_advice import advice_on_shape
from scheduler_api.schedules.tables import KINDS, are_equal, kind_of


class TaskSchedule(InlineSchedule):
    """The inline schedule of a periodic task."""

    def get_attribute(self, instance: PeriodicTask) -> Any:
        """Return the schedule row, to which one of four references leads."""
        return schedule_row(instance)

    def to_internal_value(self, data: Any) -> Any:
        """Accept the schedule as it was read, even if it is past or invalid by now."""
        assert self.parent is not None
        task = self.parent.instance
        current = schedule_row(task) if task else None
        if current is not None and data == self.to_representation(current):
            return current
        return super().to_internal_value(data)


class ScheduleReference(fields.Reference):
    """The id of a stored schedule."""

    def to_internal_value(self, data: Any) -> Any:
        """Answer a whole schedule, nested or as a text, with the inline form of it."""
        kind = str(self.field_name)
        if isinstance(data, Mapping | str) and (advice := advice_on_shape(data, kind)):
            raise ValidationError(
                f"Must be the id of a stored schedule. Inline, as schedule: {advice}.",
                "invalid",
            )
        return super().to_internal_value(data)


class ScheduleReferenceSerializer(StrictModelSerializer):
    """The five fields that can name the schedule of a periodic task."""

    schedule = TaskSchedule(
        required=False,
        allow_null=True,
        help_text="The schedule, inline. An equal stored schedule is reused.",
    )
    interval = ScheduleReference(
        queryset=IntervalSchedule.objects.all(), help_text="ID of an interval schedule."
    )
    crontab = ScheduleReference(
        queryset=CrontabSchedule.objects.all(), help_text="ID of a crontab schedule."
    )
    solar = ScheduleReference(
        queryset=SolarSchedule.objects.all(), help_text="ID of a solar schedule."
    )
    clocked = ScheduleReference(
        queryset=ClockedSchedule.objects.all(), help_text="ID of a clocked schedule."
    )

    def choose_schedule(self, attrs: dict[str, Any]) -> tuple[Any, list[Mistake]]:
        """Remove the five schedule fields from `attrs`; return the row that they name.

        The row is None if the task keeps its schedule. A response that is sent back names its
        schedule twice, inline and by id: that is accepted while both agree.
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
                    detail='A schedule is required: inline, "schedule": {"type": "interval", '
                    '"every": 5, "period": "minutes"}, or by the id of a stored one, '
                    '"interval": 7.',
                )
            ]
        return inline, []


def ambiguous(kind: str) -> Mistake:
    """Return the refusal of a second schedule."""
    return Mistake(
        pointer=f"/{kind}",
        code="ambiguous",
        detail="Send one schedule: inline as schedule, or by its id in one of "
        f"{', '.join(KINDS)}.",
    )
