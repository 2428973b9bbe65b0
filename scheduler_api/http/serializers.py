"""Base serializers, which refuse unknown fields and read rows fast."""

import copy
import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, cast

from django.conf import settings
from django.db import models
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from scheduler_api.http import fields
from scheduler_api.http.problems import MAX_ERRORS

Convert = Callable[[Any], Any]


# Characters of an unknown name that a refusal shows, and that are compared with the known names.
MAX_SHOWN_NAME = 80
# Unknown names in one place that are compared with the known ones, which takes 0.1 ms for each.
MAX_COMPARED_NAMES = 10


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """Return the refusal of an unknown field or parameter, with the closest known name."""
    shown = f"There is no {kind} {shown_name(name)}"
    if not known:
        return f"{shown}; none is allowed here."
    by_folded = {each.casefold(): each for each in known}
    folded = name.casefold() if len(name) <= MAX_SHOWN_NAME else ""
    close = [by_folded[each] for each in difflib.get_close_matches(folded, by_folded, n=1)]
    remedy = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}."
    return f"{shown}; {remedy}"


def each_unknown(
    kind: str, names: Iterable[str], known: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield each name that is unknown with its refusal, which lists the known names once."""
    has_list = False
    for number, name in enumerate(name for name in names if name not in known):
        text = f"There is no {kind} {shown_name(name)}."
        if number < MAX_COMPARED_NAMES:
            full = unknown(kind, name, known)
            is_list = "; known: " in full
            text = text if is_list and has_list else full
            has_list |= is_list
        yield name, text


def shown_name(name: str) -> str:
    """Return a name in quotes, as a refusal shows it."""
    return repr(name if len(name) <= MAX_SHOWN_NAME else f"{name[:MAX_SHOWN_NAME]}…")


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses unknown fields, so that a misspelt one is not ignored.

    A read-only field is accepted and ignored, so that a client can send back a response.
    """

    default_error_messages = {"invalid": "Must be a JSON object."}

    def to_internal_value(self, data: Any) -> Any:
        """Report unknown fields together with all other mistakes."""
        errors: dict[str, Any] = {}
        if isinstance(data, Mapping):
            names = each_unknown("field", map(str, data), set(self.fields))
            errors = {
                name: [ErrorDetail(text, "unknown_field")]
                for name, text in islice(names, MAX_ERRORS + 1)
            }
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            raise ValidationError({**cast(dict[str, Any], error.detail), **errors}) from error
        if errors:
            raise ValidationError(errors)
        return value


class StrictModelSerializer(StrictSerializer, serializers.ModelSerializer[Any]):
    """A serializer of a model, with strictly typed fields.

    All serializers of a class read rows with the same fields, built once: building them for each
    request would cost more than using them. So no response depends on a serializer's context.
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
        """Return copies of cached fields: building them takes three times as long."""
        return copy.deepcopy(made_fields(type(self)))

    def build_standard_field(
        self, field_name: str, model_field: Any
    ) -> tuple[type, dict[str, Any]]:
        """Give an optional field the model's default.

        REST framework would leave an omitted field of a PUT unchanged, instead of replacing it.
        """
        field_class, kwargs = super().build_standard_field(field_name, model_field)
        if kwargs.get("required") is False:
            del kwargs["required"]
            kwargs["default"] = model_field.get_default()
        return field_class, kwargs

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Serialize a row to JSON values."""
        if settings.FAST_PATHS:
            return read(type(self), instance)
        plain: dict[str, Any] = super().to_representation(instance)
        return plain


@cache
def made_fields(serializer_class: type[StrictModelSerializer]) -> dict[str, Any]:
    """Return the cached fields of a class, not bound to a serializer."""
    made: dict[str, Any] = super(StrictModelSerializer, serializer_class()).get_fields()
    return made


def read(serializer_class: type[StrictModelSerializer], row: models.Model) -> dict[str, Any]:
    """Serialize a row without deferred columns, as the serializers of a class do."""
    plan = read_plan(serializer_class)
    answer, values = plan.empty.copy(), vars(row)
    for name, column, convert in plan.columns:
        value = values[column]
        answer[name] = value if convert is None or value is None else convert(value)
    for find, columns in plan.joined:
        found = vars(find(row))
        for name, column in columns:
            answer[name] = found[column]
    for name, getter in plan.others:
        answer[name] = getter(row)
    return answer


@dataclass(frozen=True, kw_only=True)
class ReadPlan:
    """The plan by which the serializers of a class read rows.

    REST framework asks each field for its value, prepared for mappings, methods, paths and
    defaults. Most fields are columns of every row, and most columns need no conversion.
    """

    empty: dict[str, None]
    """A template with all fields in order."""
    columns: list[tuple[str, str, Convert | None]]
    """Field name, column name and converter of each column."""
    joined: list[tuple[Convert, list[tuple[str, str]]]]
    """Finder of a related row, with the field and column names to read from it."""
    others: list[tuple[str, Convert]]
    """Field name and getter of every other field."""


@cache
def read_plan(serializer_class: type[StrictModelSerializer]) -> ReadPlan:
    """Return the plan for the readable fields of a class."""
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
        if isinstance(field, fields.RelatedColumn):
            joined.setdefault(field.related_row, []).append((name, str(field.source)))
    others = readable.keys() - columns.keys() - {name for of in joined.values() for name, _ in of}
    return ReadPlan(
        empty=dict.fromkeys(readable),
        columns=[(name, column, converter(readable[name])) for name, column in columns.items()],
        joined=list(joined.items()),
        others=[(name, getter_for(field)) for name, field in readable.items() if name in others],
    )


def is_plain(field: Any) -> bool:
    """Return whether a field's value is the attribute with its name."""
    return type(field).get_attribute in {
        serializers.Field.get_attribute,
        fields.Reference.get_attribute,
    }


def converter(field: Any) -> Convert | None:
    """Return the converter of a field; None if its value needs no conversion."""
    convert: Convert = field.to_representation
    return None if type(field).to_representation is fields.unchanged else convert


def getter_for(field: Any) -> Convert:
    """Return the getter of a field that is no column."""
    if isinstance(field, serializers.SerializerMethodField):
        method: Convert = getattr(field.parent, field.method_name)
        return method

    def get(row: Any) -> Any:
        value = field.get_attribute(row)
        return None if value is None else field.to_representation(value)

    return get
