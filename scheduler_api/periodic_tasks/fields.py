"""Serializer fields of a periodic task: arguments, headers, `enabled`, agenda columns."""

from collections.abc import Mapping
from typing import Any

from django_celery_beat.models import PeriodicTask

from scheduler_api.access.redaction import may_have_secrets, redacted
from scheduler_api.http import fields
from scheduler_api.periodic_tasks.agenda import agenda_of
from scheduler_api.periodic_tasks.message_headers import MAX_NAME_BYTES
from scheduler_api.periodic_tasks.models import is_enabled


class StoredArguments(fields.StoredJSON):
    """Arguments or headers of a message. Secrets are shown as stars."""

    def to_representation(self, value: str | None) -> Any:
        """Parse the stored text and hide secrets."""
        document = super().to_representation(value)
        return redacted(document) if document and may_have_secrets(value or "") else document


class EnabledFlag(fields.Flag):
    """Whether a periodic task runs, apart from a pause."""

    def get_attribute(self, instance: PeriodicTask) -> bool:
        """Return the value now, or after the pause."""
        return is_enabled(instance)


class MessageHeaders(StoredArguments):
    """Headers of a message. Some names are reserved, so that none replaces one of Celery's."""

    in_requests: Mapping[str, Any] = {
        "propertyNames": {"minLength": 1, "maxLength": MAX_NAME_BYTES}
    }


class AgendaText(fields.RelatedColumn, fields.Text):
    """A text that beat writes into the agenda row of a periodic task."""

    related_row = staticmethod(agenda_of)


class AgendaCount(fields.RelatedColumn, fields.WholeNumber):
    """A counter that beat keeps in the agenda row of a periodic task."""

    related_row = staticmethod(agenda_of)
