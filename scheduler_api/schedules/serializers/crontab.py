"""Crontabs in JSON, by themselves or inline."""

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django_celery_beat.models import CrontabSchedule
from drf_spectacular.utils import extend_schema_serializer

from scheduler_api.http import fields
from scheduler_api.http.serializers import unknown
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

CRONTAB_FIELDS = CrontabFields._fields
CRONTAB_TEXTS = {
    "minute": "From 0 to 59: `*`, `30`, `0,30`, `10-20`, `*/5`.",
    "hour": "From 0 to 23, written like the minute.",
    "day_of_month": "From 1 to 31.",
    "month_of_year": "From 1 to 12, or by name: `jan`.",
    "day_of_week": "From 0 to 7, both of which are Sunday, or by name: `mon-fri`.",
}


@cache
def zone_names() -> frozenset[str]:
    """Return the names of all time zones; finding them reads the disk."""
    return frozenset(available_timezones() - {"localtime"})  # on each machine another one


def default_zone() -> ZoneInfo:
    """Return the zone of crontabs that name none: the setting, as for django-celery-beat."""
    return ZoneInfo(settings.CELERY_TIMEZONE)


class TimeZoneName(fields.Text):
    """The name of a time zone in the IANA database."""

    in_requests: Mapping[str, Any] = {"examples": ["Europe/Berlin"]}
    default_error_messages = {"unknown_zone": "{message}"}

    def to_internal_value(self, data: Any) -> Any:
        """Return the zone."""
        name = super().to_internal_value(data)
        if name not in zone_names():
            message = unknown("time zone", name, zone_names())
            self.fail("unknown_zone", message=message.partition("; known")[0])
        return ZoneInfo(name)

    def to_representation(self, value: Any) -> str:
        """Return the name."""
        return str(value)


class Expression(fields.Text):
    """A crontab in one line."""

    in_requests: Mapping[str, Any] = {
        "pattern": r"^\s*(@[A-Za-z]+|\S+(\s+\S+){4})\s*$",
        "examples": ["*/5 * * * *"],
    }


class InlineCrontabSerializer(ScheduleSerializer):
    """At wall times of a zone; the day of the month AND the day of the week must match."""

    in_requests: Mapping[str, Any] = {
        "properties": {
            field: {"pattern": pattern} for field, pattern in field_patterns()._asdict().items()
        },
        # The expression stands for all five fields.
        "not": {
            "required": ["expression"],
            "anyOf": [{"required": [field]} for field in CRONTAB_FIELDS],
        },
    }
    type = TypeName("crontab")
    timezone = TimeZoneName(
        default=default_zone,  # type: ignore[arg-type]  # as to_internal_value, which is no text
        help_text="The zone whose wall clock counts, as Europe/Berlin; by default, the service's.",
    )
    expression = Expression(
        required=False,
        write_only=True,
        help_text="The five fields in one line, instead of each: `*/5 * * * *`, `@daily`.",
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
            field: {"validators": [], "help_text": text} for field, text in CRONTAB_TEXTS.items()
        }

    def to_columns(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Take the fields from the expression if there is one; spell them as stock beat can."""
        columns = dict(attrs)
        if expression := columns.pop("expression", None):
            if any(field in self.initial_data for field in CRONTAB_FIELDS):
                raise InvalidSchedule(
                    "expression stands for all five fields: send it, or them, not both",
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
        """Blame the expression for the fields that were read from it."""
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
    """At wall times of a zone; the day of the month AND the day of the week must match."""

    type = TypeName("crontab", required=False)

    class Meta(InlineCrontabSerializer.Meta):
        fields: ClassVar[tuple[str, ...]] = (*InlineCrontabSerializer.Meta.fields, *STORED_FIELDS)
