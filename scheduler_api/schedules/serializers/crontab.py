"""Serializers of crontabs, stored or inline."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django_celery_beat.models import CrontabSchedule
from drf_spectacular.utils import extend_schema_serializer

from scheduler_api.http import fields
from scheduler_api.openapi.bodies import examples
from scheduler_api.schedules.crontab_fields import CrontabFields, field_patterns, normalize_fields
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.expression import parse_expression
from scheduler_api.schedules.serializers.base import (
    NEW_STORED_VALUES,
    STORED_FIELDS,
    ScheduleSerializer,
    StoredScheduleSerializer,
    TypeName,
)
from scheduler_api.schedules.zone_advice import advice_on_zone, zone_names

MAX_EXPRESSION_LENGTH = 1000
MAX_ZONE_LENGTH = 63  # of django-celery-beat's column
CRONTAB_FIELDS = CrontabFields._fields
CRONTAB_TEXTS = {
    "minute": "Minutes, 0 to 59. Examples: `*`, `30`, `0,30`, `10-20`, `*/5`.",
    "hour": "Hours, 0 to 23, in the same syntax as `minute`.",
    "day_of_month": "Days of the month, 1 to 31.",
    "month_of_year": "Months, 1 to 12 or names such as `jan`.",
    "day_of_week": "Days of the week, 0 to 7 (0 and 7 are Sunday) or names such as `mon-fri`.",
}


def default_zone() -> ZoneInfo:
    """Return the default zone: the setting CELERY_TIMEZONE, as for django-celery-beat."""
    return ZoneInfo(settings.CELERY_TIMEZONE)


class TimeZoneName(fields.Text):
    """The name of a time zone in the IANA database."""

    in_requests: Mapping[str, Any] = {"examples": ["Europe/Berlin"]}
    default_error_messages = {"unknown_zone": "{message}"}

    def to_internal_value(self, data: Any) -> Any:
        """Return the zone."""
        name = super().to_internal_value(data)
        if name not in zone_names():
            advice = advice_on_zone(name, year=datetime.now(UTC).year)
            message = f"There is no time zone {name[:MAX_ZONE_LENGTH]!r}; {advice}"
            self.fail("unknown_zone", message=message)
        return ZoneInfo(name)

    def to_representation(self, value: Any) -> str:
        """Return the name."""
        return str(value)


class Expression(fields.Text):
    """A crontab on one line."""

    in_requests: Mapping[str, Any] = {
        "pattern": r"^\s*(@[A-Za-z]+|\S+(\s+\S+){4,})\s*$",
        "examples": ["*/5 * * * *"],
    }


class InlineCrontabSerializer(ScheduleSerializer):
    """Slots at wall-clock times of a zone.

    The day of the month AND the day of the week must match.
    """

    in_requests: Mapping[str, Any] = {
        "properties": {
            field: {"pattern": pattern} for field, pattern in field_patterns()._asdict().items()
        },
        # The expression replaces all five fields.
        "not": {
            "required": ["expression"],
            "anyOf": [{"required": [field]} for field in CRONTAB_FIELDS],
        },
    }
    type = TypeName("crontab")
    timezone = TimeZoneName(
        default=default_zone,  # type: ignore[arg-type]  # a zone, as to_internal_value returns
        help_text=(
            "IANA time zone of the wall-clock times, such as `Europe/Berlin`. Defaults to the "
            "time zone of the service."
        ),
    )
    expression = Expression(
        required=False,
        max_length=MAX_EXPRESSION_LENGTH,
        trim_whitespace=False,
        write_only=True,
        help_text=(
            "All five fields on one line, such as `*/5 * * * *` or `@daily`. Replaces the single "
            "fields."
        ),
    )

    class Meta:
        model = CrontabSchedule
        fields: ClassVar[tuple[str, ...]] = (
            "id",
            "type",
            *CRONTAB_FIELDS,
            "timezone",
            "expression",
            "description",
        )
        extra_kwargs: ClassVar[dict[str, Any]] = {
            # The pattern has blanks at the ends, so they count for the maximum length, too.
            field: {"validators": [], "help_text": text, "trim_whitespace": False}
            for field, text in CRONTAB_TEXTS.items()
        }

    def to_columns(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the fields, or those of the expression, in a spelling that stock beat reads."""
        columns = dict(attrs)
        if expression := columns.pop("expression", None):
            if any(field in self.initial_data for field in CRONTAB_FIELDS):
                raise InvalidSchedule(
                    "expression replaces all five fields: send either the expression or the "
                    "fields, not both",
                    field="expression",
                    code="ambiguous",
                )
            columns |= parse_expression(expression)._asdict()
        given = {
            field: columns.get(field, getattr(self.instance, field, "*"))
            for field in CRONTAB_FIELDS
        }
        return columns | normalize_fields(CrontabFields(**given))._asdict()

    def error_field(self, field: str, attrs: Mapping[str, Any]) -> str:
        """Return "expression" for errors in the fields that were parsed from it."""
        return "expression" if "expression" in attrs else super().error_field(field, attrs)


@extend_schema_serializer(
    examples=examples(
        "Crontab",
        {
            "type": "crontab",
            "minute": "30",
            "hour": "7",
            "day_of_week": "mon-fri",
            "timezone": "Europe/Berlin",
        },
        changed="hour",
        answer={
            "id": 1,
            "type": "crontab",
            "minute": "30",
            "hour": "7",
            "day_of_month": "*",
            "month_of_year": "*",
            "day_of_week": "mon-fri",
            "timezone": "Europe/Berlin",
            "description": "At 07:30, Monday through Friday (Europe/Berlin)",
            **NEW_STORED_VALUES,
        },
    )
    + examples(
        "Crontab in one line",
        {"type": "crontab", "expression": "*/5 * * * *", "timezone": "UTC"},
        changed="expression",
        answer={
            "id": 2,
            "type": "crontab",
            "minute": "*/5",
            "hour": "*",
            "day_of_month": "*",
            "month_of_year": "*",
            "day_of_week": "*",
            "timezone": "UTC",
            "description": "Every 5 minutes (UTC)",
            **NEW_STORED_VALUES,
        },
    )
)
class CrontabScheduleSerializer(InlineCrontabSerializer, StoredScheduleSerializer):
    """Slots at wall-clock times of a zone.

    The day of the month AND the day of the week must match.
    """

    type = TypeName("crontab", required=False)

    class Meta(InlineCrontabSerializer.Meta):
        fields: ClassVar[tuple[str, ...]] = (*InlineCrontabSerializer.Meta.fields, *STORED_FIELDS)
