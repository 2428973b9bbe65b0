"""A schedule inside another document: one of four kinds, told apart by `type`."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import Direction
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from scheduler_api.http.serializers import read
from scheduler_api.schedules.rows import kind_of
from scheduler_api.schedules.serializers import INLINE_SERIALIZERS


class InlineSchedule(serializers.Field[Any, Any, Any, Any]):
    """A schedule by value. What it validates is a row of its table, not stored yet."""

    default_error_messages = {
        "invalid": 'Must be an object such as {{"type": "crontab", "expression": "*/5 * * * *"}}.',
        "unknown_type": "Must be one of {types}.",
    }

    def to_representation(self, value: Any) -> dict[str, Any]:
        """Return the row as its kind describes it."""
        return read(INLINE_SERIALIZERS[kind_of(value).name], value)

    def to_internal_value(self, data: Any) -> Any:
        """Check the object as its type asks."""
        if not isinstance(data, Mapping):
            self.fail("invalid")
        if not isinstance(data.get("type"), str) or data["type"] not in INLINE_SERIALIZERS:
            types = ", ".join(INLINE_SERIALIZERS)
            message = self.error_messages["unknown_type"].format(types=types)
            raise ValidationError({"type": [ErrorDetail(message, "unknown_type")]})
        serializer = INLINE_SERIALIZERS[data["type"]](data=data)
        serializer.is_valid(raise_exception=True)
        return serializer.row


class InlineScheduleSchema(OpenApiSerializerFieldExtension):
    """Describes an InlineSchedule as `oneOf` with a discriminator."""

    target_class = InlineSchedule
    match_subclasses = True

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Direction
    ) -> dict[str, Any]:
        """Return a reference to the four kinds, each a component by itself."""
        kinds = {
            name: auto_schema.resolve_serializer(serializer, direction).ref
            for name, serializer in INLINE_SERIALIZERS.items()
        }
        name = "Schedule" if direction == "response" else "ScheduleRequest"
        component = ResolvedComponent(
            name=name,
            type=ResolvedComponent.SCHEMA,
            object=name,
            schema={
                "type": "object",
                "description": "When: one of four kinds, told apart by `type`.",
                "oneOf": list(kinds.values()),
                "discriminator": {
                    "propertyName": "type",
                    "mapping": {name: reference["$ref"] for name, reference in kinds.items()},
                },
            },
        )
        auto_schema.registry.register_on_missing(component)
        return component.ref
