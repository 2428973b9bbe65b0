"""Base serializers of the four kinds of schedule."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.db.models import Model
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from scheduler_api.http import fields
from scheduler_api.http.serializers import StrictModelSerializer
from scheduler_api.schedules.description import describe, describe_never
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.tables import KINDS, check_row, kind_of, schedule_of, values_of


class TypeName(fields.Choice):
    """The name of the schedule's kind: the discriminator of the four."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(choices=[name], help_text="Kind of schedule.", **kwargs)
        self.name = name

    def get_attribute(self, instance: Any) -> str:
        """Return the name, which depends on the table alone: it holds rows of one kind."""
        return self.name


@lru_cache(maxsize=4096)
def cached_description(kind: str, **values: Any) -> str:
    """Describe a schedule by its columns. Cached: many periodic tasks share a schedule."""
    row = KINDS[kind].model(**values)
    try:
        return describe(schedule_of(row, anchor=datetime.now(UTC)))
    except InvalidSchedule as error:
        return describe_never(error)


class ScheduleSerializer(StrictModelSerializer):
    """Base of the four inline schedules.

    `is_valid()` sets `row`: a valid row that is not saved yet.
    """

    description = serializers.SerializerMethodField(help_text="The schedule in words.")
    row: Model
    Meta: Any

    def get_fields(self) -> dict[str, Any]:
        """Return the fields; an inline schedule of a dry run may have no id yet."""
        found = super().get_fields()
        if not isinstance(self, StoredScheduleSerializer):
            found["id"].allow_null = True
            found["id"].help_text = "ID; null in a dry run if the schedule is not stored."
        return found

    def get_description(self, row: Any) -> str:
        """Return the schedule in words, or the error in a row that another program wrote."""
        return cached_description(kind_of(row).name, **values_of(row))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a schedule that Celery cannot build or that has no future slot."""
        attrs.pop("type", None)
        try:
            row = self.build_row(self.to_columns(attrs))
        except InvalidSchedule as error:
            field = self.error_field(error.field, attrs)
            raise ValidationError({field: [ErrorDetail(str(error), error.code)]}) from error
        self.row = row
        return attrs

    def build_row(self, columns: Mapping[str, Any]) -> Any:
        """Return the row, new or changed, with these columns; raise InvalidSchedule."""
        if self.instance is None:
            # Not created empty first: the default of a time zone would be read from disk.
            row: Any = self.Meta.model(**columns)
            check_row(row, now=datetime.now(UTC))
            return row
        before = values_of(self.instance)
        for column, value in columns.items():
            setattr(self.instance, column, value)
        # A client may send back the values that it read, even if their time has passed.
        if values_of(self.instance) != before:
            check_row(self.instance, now=datetime.now(UTC))
        return self.instance

    def to_columns(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the columns for the fields that were sent."""
        return attrs

    def error_field(self, field: str, attrs: Mapping[str, Any]) -> str:
        """Return the JSON field that an error refers to."""
        return field if field in self.fields else "non_field_errors"


class StoredScheduleSerializer(serializers.Serializer[Any]):
    """Fields of a stored schedule that an inline one does not have."""

    revision = serializers.IntegerField(
        read_only=True,
        help_text="Number of writes over the API, including the first.",
    )
    used_by = serializers.SerializerMethodField(
        help_text="Names of the periodic tasks that use this schedule, at most 100."
    )
    used_by_count = serializers.IntegerField(
        read_only=True, help_text="Number of periodic tasks that use this schedule."
    )

    def get_used_by(self, row: Any) -> list[str]:
        """Return the names that the view prefetched."""
        return [task.name for task in row.followers]


STORED_FIELDS = ("revision", "used_by", "used_by_count")
NEW_STORED_VALUES: Mapping[str, Any] = {"revision": 1, "used_by": [], "used_by_count": 0}
