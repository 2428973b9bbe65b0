"""Schedules in JSON: the four kinds, by themselves or inline in a periodic task."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.db.models import Model
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    SolarSchedule,
)
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from scheduler_api.http import fields
from scheduler_api.http.schema import examples
from scheduler_api.http.serializers import StrictModelSerializer, unknown
from scheduler_api.schedules.crontab_fields import CrontabFields, normalized, patterns
from scheduler_api.schedules.description import describe, never
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.expression import parse_expression
from scheduler_api.schedules.rows import KINDS, check, kind_of, schedule_of, values_of

LARGEST_INTEGER = 2**31 - 1
CRONTAB_FIELDS = CrontabFields._fields
CRONTAB_TEXTS = {
    "minute": "From 0 to 59: `*`, `30`, `0,30`, `10-20`, `*/5`.",
    "hour": "From 0 to 23, written like the minute.",
    "day_of_month": "From 1 to 31.",
    "month_of_year": "From 1 to 12, or by name: `jan`.",
    "day_of_week": "From 0 to 7, both of which are Sunday, or by name: `mon-fri`.",
}


class TypeName(fields.Choice):
    """The name of a kind, by which the four are told apart."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(choices=[name], help_text="The kind of schedule.", **kwargs)
        self.name = name

    def get_attribute(self, instance: Any) -> str:
        """Return the name: each table holds rows of one kind."""
        return self.name


@lru_cache(maxsize=4096)
def sentence(kind: str, **values: Any) -> str:
    """Describe a schedule by its columns, which many periodic tasks have in common."""
    row = KINDS[kind].model(**values)
    try:
        return describe(schedule_of(row, anchor=datetime.now(UTC)))
    except InvalidSchedule as error:
        return never(error)


class ScheduleSerializer(StrictModelSerializer):
    """What the four kinds have in common, inline.

    What it validates is a row that is not stored yet, `row`, with nothing wrong about it.
    """

    description = serializers.SerializerMethodField(help_text="The schedule as a sentence.")
    row: Model
    Meta: Any

    def get_description(self, row: Any) -> str:
        """Say when, for people; say what is wrong with a row that others have spoilt."""
        return sentence(kind_of(row).name, **values_of(row))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a schedule that Celery cannot build, or that has no slot to come."""
        attrs.pop("type", None)
        try:
            row = self.row_with(self.as_stored(attrs))
        except InvalidSchedule as error:
            place = self.place_of(error.field, attrs)
            raise ValidationError({place: [ErrorDetail(str(error), error.code)]}) from error
        self.row = row
        return attrs

    def row_with(self, columns: Mapping[str, Any]) -> Any:
        """Return the row, new or changed, with these columns; raise InvalidSchedule."""
        if self.instance is None:
            # Not made empty first: for the default of a time zone the disk is read.
            row: Any = self.Meta.model(**columns)
            check(row, now=datetime.now(UTC))
            return row
        before = values_of(self.instance)
        for column, value in columns.items():
            setattr(self.instance, column, value)
        # What was read may be sent back, even if its time has passed.
        if values_of(self.instance) != before:
            check(self.instance, now=datetime.now(UTC))
        return self.instance

    def as_stored(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the columns for the fields that were sent."""
        return attrs

    def place_of(self, field: str, attrs: Mapping[str, Any]) -> str:
        """Return the JSON field in which a mistake stands."""
        return field if field in self.fields else "non_field_errors"


class StoredScheduleSerializer(serializers.Serializer[Any]):
    """What a schedule by itself tells beyond an inline one."""

    revision = serializers.IntegerField(
        read_only=True, help_text="How often it was written over the API, the first time included."
    )
    used_by = serializers.SerializerMethodField(
        help_text="The names of the periodic tasks that follow this schedule, at most 100."
    )
    used_by_count = serializers.IntegerField(
        read_only=True, help_text="How many periodic tasks follow this schedule."
    )

    def get_used_by(self, row: Any) -> list[str]:
        """Return the names that the view has fetched."""
        return [task.name for task in row.followers]


BY_ITSELF = ("revision", "used_by", "used_by_count")
NEW: Mapping[str, Any] = {"revision": 1, "used_by": [], "used_by_count": 0}


class InlineIntervalSerializer(ScheduleSerializer):
    """Every so often, in elapsed time; from 1 second to 10 years."""

    type = TypeName("interval")

    class Meta:
        model = IntervalSchedule
        fields: ClassVar[tuple[str, ...]] = ("id", "type", "every", "period", "description")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "every": {
                "min_value": 1,
                "max_value": LARGEST_INTEGER,
                "help_text": "How many periods pass from one slot to the next.",
            },
            "period": {"help_text": "The unit of `every`."},
        }


@extend_schema_serializer(
    examples=examples(
        "Interval",
        {"type": "interval", "every": 5, "period": "minutes"},
        changed="period",
        answer={
            "id": 1,
            "type": "interval",
            "every": 5,
            "period": "minutes",
            "description": "Every 5 minutes",
            **NEW,
        },
    )
)
class IntervalScheduleSerializer(InlineIntervalSerializer, StoredScheduleSerializer):
    """Every so often, in elapsed time; from 1 second to 10 years."""

    type = TypeName("interval", required=False)

    class Meta(InlineIntervalSerializer.Meta):
        fields: ClassVar[tuple[str, ...]] = (*InlineIntervalSerializer.Meta.fields, *BY_ITSELF)


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
            field: {"pattern": pattern} for field, pattern in patterns()._asdict().items()
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

    def as_stored(self, attrs: dict[str, Any]) -> dict[str, Any]:
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
        return columns | normalized(CrontabFields(**given))._asdict()

    def place_of(self, field: str, attrs: Mapping[str, Any]) -> str:
        """Blame the expression for the fields that were read from it."""
        return "expression" if "expression" in attrs else super().place_of(field, attrs)


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
            **NEW,
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
            **NEW,
        },
    )
)
class CrontabScheduleSerializer(InlineCrontabSerializer, StoredScheduleSerializer):
    """At wall times of a zone; the day of the month AND the day of the week must match."""

    type = TypeName("crontab", required=False)

    class Meta(InlineCrontabSerializer.Meta):
        fields: ClassVar[tuple[str, ...]] = (*InlineCrontabSerializer.Meta.fields, *BY_ITSELF)


class InlineSolarSerializer(ScheduleSerializer):
    """When the sun rises, sets or stands highest at a place, or it dawns or darkens there."""

    type = TypeName("solar")
    latitude = fields.Number(
        min_value=-90, max_value=90, help_text="Degrees north of the equator."
    )
    longitude = fields.Number(
        min_value=-180, max_value=180, help_text="Degrees east of Greenwich."
    )

    class Meta:
        model = SolarSchedule
        fields: ClassVar[tuple[str, ...]] = (
            "id",
            "type",
            "event",
            "latitude",
            "longitude",
            "description",
        )
        extra_kwargs: ClassVar[dict[str, Any]] = {"event": {"help_text": "What the sun does."}}
        validators: ClassVar[list[Any]] = []  # equal ones are reused, or refused by the action

    def as_stored(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Round to the six decimals (11 cm) that the table holds."""
        degrees = {
            name: round(Decimal(str(attrs[name])), 6)
            for name in ("latitude", "longitude")
            if name in attrs
        }
        return attrs | degrees


@extend_schema_serializer(
    examples=examples(
        "Solar",
        {"type": "solar", "event": "sunset", "latitude": 52.52, "longitude": 13.405},
        changed="event",
        answer={
            "id": 1,
            "type": "solar",
            "event": "sunset",
            "latitude": 52.52,
            "longitude": 13.405,
            "description": "At sunset at latitude 52.52, longitude 13.405",
            **NEW,
        },
    )
)
class SolarScheduleSerializer(InlineSolarSerializer, StoredScheduleSerializer):
    """When the sun rises, sets or stands highest at a place, or it dawns or darkens there."""

    type = TypeName("solar", required=False)

    class Meta(InlineSolarSerializer.Meta):
        fields: ClassVar[tuple[str, ...]] = (*InlineSolarSerializer.Meta.fields, *BY_ITSELF)


class InlineClockedSerializer(ScheduleSerializer):
    """Once, at a moment."""

    type = TypeName("clocked")

    class Meta:
        model = ClockedSchedule
        fields: ClassVar[tuple[str, ...]] = ("id", "type", "clocked_time", "description")
        extra_kwargs: ClassVar[dict[str, Any]] = {"clocked_time": {"help_text": "The moment."}}

    def place_of(self, field: str, attrs: Mapping[str, Any]) -> str:
        """There is but one."""
        return "clocked_time"


@extend_schema_serializer(
    examples=examples(
        "Clocked",
        {"type": "clocked", "clocked_time": "2030-01-01T00:00:00Z"},
        changed="clocked_time",
        answer={
            "id": 1,
            "type": "clocked",
            "clocked_time": "2030-01-01T00:00:00Z",
            "description": "Once, at 2030-01-01 00:00:00 UTC",
            **NEW,
        },
    )
)
class ClockedScheduleSerializer(InlineClockedSerializer, StoredScheduleSerializer):
    """Once, at a moment."""

    type = TypeName("clocked", required=False)

    class Meta(InlineClockedSerializer.Meta):
        fields: ClassVar[tuple[str, ...]] = (*InlineClockedSerializer.Meta.fields, *BY_ITSELF)


INLINE_SERIALIZERS = {
    "interval": InlineIntervalSerializer,
    "crontab": InlineCrontabSerializer,
    "solar": InlineSolarSerializer,
    "clocked": InlineClockedSerializer,
}
