"""What the fields of a periodic task read and take beyond their JSON type."""

from collections.abc import Mapping
from typing import Any

from django_celery_beat.models import PeriodicTask

from scheduler_api.access.redaction import redacted
from scheduler_api.http import fields
from scheduler_api.periodic_tasks.agenda import agenda_of
from scheduler_api.periodic_tasks.models import is_enabled
from scheduler_api.periodic_tasks.task_schedule import schedule_row
from scheduler_api.periodic_tasks.validation import HEADER_NAME
from scheduler_api.schedules.inline import InlineSchedule


class StoredArguments(fields.StoredJSON):
    """What a message carries. Secrets in it are shown as stars."""

    def to_representation(self, value: str | None) -> Any:
        """Read the stored text, and hide the secrets: they have names, and so are in objects."""
        document = super().to_representation(value)
        return redacted(document) if document and "{" in (value or "") else document


class Enabled(fields.Flag):
    """Whether a periodic task runs, but for a pause."""

    def get_attribute(self, instance: PeriodicTask) -> bool:
        """Return what it is, or will be when it resumes."""
        return is_enabled(instance)


class MessageHeaders(StoredArguments):
    """Headers of a message, which could stand for Celery's own were their names not bounded."""

    in_requests: Mapping[str, Any] = {
        "propertyNames": {"pattern": f"^{HEADER_NAME.pattern}$"},
        "additionalProperties": {"type": "string"},
    }


class StandingText(fields.OfAnotherRow, fields.Text):
    """What beat notes of a periodic task."""

    row_of = staticmethod(agenda_of)


class StandingCount(fields.OfAnotherRow, fields.WholeNumber):
    """What beat counts of a periodic task."""

    row_of = staticmethod(agenda_of)


class FollowedSchedule(InlineSchedule):
    """The schedule that a periodic task follows."""

    def get_attribute(self, instance: PeriodicTask) -> Any:
        """Return the one of four references that is set."""
        return schedule_row(instance)

    def to_internal_value(self, data: Any) -> Any:
        """Take back what was read, even if its time has passed or others have spoilt it."""
        assert self.parent is not None
        task = self.parent.instance
        current = schedule_row(task) if task else None
        if current is not None and data == self.to_representation(current):
            return current
        return super().to_internal_value(data)
