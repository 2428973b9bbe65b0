"""A schedule inside another document: one of four kinds, selected by `type`."""

import copy
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from scheduler_api.http.serializers import read
from scheduler_api.openapi.bodies import one_of
from scheduler_api.schedules.inline_advice import advice_on_shape
from scheduler_api.schedules.serializers import INLINE_SERIALIZERS
from scheduler_api.schedules.tables import KINDS, kind_of, values_of


@lru_cache(maxsize=4096)
def serialized_row(kind: str, **columns: Any) -> dict[str, Any]:
    """Return the JSON of a row by its columns. Cached: many periodic tasks share a schedule."""
    return read(INLINE_SERIALIZERS[kind], KINDS[kind].model(**columns))


class InlineSchedule(serializers.Field[Any, Any, Any, Any]):
    """A field for a schedule by value. It validates to an unsaved row of the kind's table."""

    default_error_messages = {
        "invalid": 'Must be an object such as {{"type": "crontab", "expression": "*/5 * * * *"}}.',
        "unknown_type": "Must be one of {types}.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Many schedules of a batch are equal, so each distinct one is checked only once.
        self.checked: dict[str, Any] = {}

    def to_representation(self, value: Any) -> dict[str, Any]:
        """Return the row as its kind's serializer represents it."""
        return dict(serialized_row(kind_of(value).name, id=value.pk, **values_of(value)))

    def to_internal_value(self, data: Any) -> Any:
        """Validate the object with the serializer of its type."""
        if not isinstance(data, Mapping):
            if advice := advice_on_shape(data):
                raise ValidationError(f"Must be an object: {advice}.", "invalid")
            self.fail("invalid")
        if not isinstance(data.get("type"), str) or data["type"] not in INLINE_SERIALIZERS:
            types = ", ".join(INLINE_SERIALIZERS)
            message = self.error_messages["unknown_type"].format(types=types)
            if advice := advice_on_shape(data):
                message = f"{message} Perhaps {advice}."
            raise ValidationError({"type": [ErrorDetail(message, "unknown_type")]})
        text = json.dumps(data)
        if text not in self.checked:
            serializer = INLINE_SERIALIZERS[data["type"]](data=data)
            serializer.is_valid(raise_exception=True)
            self.checked[text] = serializer.row
        # A copy: a caller may save it and then roll back, which must not affect the cached row.
        return copy.copy(self.checked[text])


class InlineScheduleSchema(OpenApiSerializerFieldExtension):
    """OpenAPI schema of an InlineSchedule: `oneOf` with a discriminator."""

    target_class = InlineSchedule
    match_subclasses = True

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Direction
    ) -> dict[str, Any]:
        """Return a reference to the four kinds, each a component of its own."""
        return one_of(
            auto_schema,
            INLINE_SERIALIZERS,
            discriminator="type",
            name="Schedule",
            description="A schedule of one of four kinds, selected by `type`.",
            direction=direction,
        )
