"""Serializers that refuse what they do not know."""

import copy
import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from django.conf import settings
from django.db import models
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from scheduler_api.http import fields

Convert = Callable[[Any], Any]


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """Say that there is no such field or parameter, and which one was probably meant."""
    close = difflib.get_close_matches(name, known, n=1)
    if not known:
        return f"There is no {kind} {name!r}; none is taken here."
    mend = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}."
    return f"There is no {kind} {name!r}; {mend}"


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer for which an unknown field is a mistake: a misspelt one is never lost.

    A read-only field may be sent, so that what was read can be sent back; it is not used.
    """

    default_error_messages = {"invalid": "Must be a JSON object."}

    def to_internal_value(self, data: Any) -> Any:
        """Report unknown fields together with what else is wrong."""
        errors: dict[str, Any] = {}
        if isinstance(data, Mapping):
            errors = {
                str(name): [ErrorDetail(unknown("field", str(name), self.fields), "unknown_field")]
                for name in data
                if name not in self.fields
            }
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            raise ValidationError({**cast(dict[str, Any], error.detail), **errors}) from error
        if errors:
            raise ValidationError(errors)
        return value


class StrictModelSerializer(StrictSerializer, serializers.ModelSerializer[Any]):
    """A model's fields, each of one JSON type.

    All serializers of a class read rows with the same fields, made once: to make them for each
    request would cost more than to use them. So no answer depends on a serializer's context.
    """

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.BooleanField: fields.Flag,
        models.CharField: fields.Text,
        models.DateTimeField: fields.Instant,
        models.DecimalField: fields.Number,
        models.IntegerField: fields.WholeNumber,
        models.PositiveIntegerField: fields.WholeNumber,
        models.TextField: fields.Text,
    }
    serializer_choice_field = fields.Choice

    def get_fields(self) -> dict[str, Any]:
        """Return copies of fields: to make them from the model takes three times as long."""
        return copy.deepcopy(made_fields(type(self)))

    def build_standard_field(
        self, field_name: str, model_field: Any
    ) -> tuple[type, dict[str, Any]]:
        """Give a field that may be left out the model's default.

        REST framework would leave such a field of a PUT as it was: it would not replace.
        """
        field_class, kwargs = super().build_standard_field(field_name, model_field)
        if kwargs.get("required") is False:
            del kwargs["required"]
            kwargs["default"] = model_field.get_default()
        return field_class, kwargs

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Return a row as JSON values."""
        if settings.FAST_PATHS:
            return read(type(self), instance)
        plain: dict[str, Any] = super().to_representation(instance)
        return plain


@cache
def made_fields(serializer_class: type[StrictModelSerializer]) -> dict[str, Any]:
    """Return the fields of a class, which belong to no serializer."""
    made: dict[str, Any] = super(StrictModelSerializer, serializer_class()).get_fields()
    return made


def read(serializer_class: type[StrictModelSerializer], row: models.Model) -> dict[str, Any]:
    """Return a row, of which no column was left out, as the serializers of a class describe it."""
    reading = reading_of(serializer_class)
    answer, values = reading.empty.copy(), vars(row)
    for name, column, convert in reading.columns:
        value = values[column]
        answer[name] = value if convert is None or value is None else convert(value)
    for find, columns in reading.joined:
        found = vars(find(row))
        for name, column in columns:
            answer[name] = found[column]
    for name, tell in reading.others:
        answer[name] = tell(row)
    return answer


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How the rows of a class of serializers are read.

    REST framework's own way asks each field for its value, ready for mappings, methods, paths
    and defaults. Most fields are columns, which every row has, and most of these are told as they
    are.
    """

    empty: dict[str, None]
    """An answer with all fields in their order."""
    columns: list[tuple[str, str, Convert | None]]
    """The names of the fields, those of their columns, and what converts the values."""
    joined: list[tuple[Convert, list[tuple[str, str]]]]
    """What finds a row that belongs to this one, the names of its fields and of their columns."""
    others: list[tuple[str, Convert]]
    """The names of the fields, and what tells their values from the row."""


@cache
def reading_of(serializer_class: type[StrictModelSerializer]) -> Reading:
    """Sort the readable fields by what there is to do."""
    model: Any = serializer_class.Meta.model
    attributes = {column.name: column.attname for column in model._meta.concrete_fields}
    readable = {
        name: field for name, field in serializer_class().fields.items() if not field.write_only
    }
    columns = {
        name: attributes[field.source]
        for name, field in readable.items()
        if field.source in attributes and is_plain(field)
    }
    joined: dict[Convert, list[tuple[str, str]]] = {}
    for name, field in readable.items():
        if isinstance(field, fields.OfAnotherRow):
            joined.setdefault(field.row_of, []).append((name, str(field.source)))
    others = readable.keys() - columns.keys() - {name for of in joined.values() for name, _ in of}
    return Reading(
        empty=dict.fromkeys(readable),
        columns=[(name, column, converter(readable[name])) for name, column in columns.items()],
        joined=list(joined.items()),
        others=[(name, teller(field)) for name, field in readable.items() if name in others],
    )


def is_plain(field: Any) -> bool:
    """Tell whether a field's value is the attribute that it is named for."""
    return type(field).get_attribute in {
        serializers.Field.get_attribute,
        fields.Reference.get_attribute,
    }


def converter(field: Any) -> Convert | None:
    """Return what converts a field's value; None where that is told as it is."""
    convert: Convert = field.to_representation
    return None if type(field).to_representation is fields.as_it_is else convert


def teller(field: Any) -> Convert:
    """Return what tells the value of a field that is no column."""
    if isinstance(field, serializers.SerializerMethodField):
        method: Convert = getattr(field.parent, field.method_name)
        return method

    def tell(row: Any) -> Any:
        value = field.get_attribute(row)
        return None if value is None else field.to_representation(value)

    return tell
