"""Serializer fields that accept one JSON type, and name it when they refuse another.

REST framework's fields coerce: "yes" would be true, 1 would be "1", "5" would be 5.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json, to_json
from rest_framework import serializers

from scheduler_api.http.problems import MAX_ERRORS


def unchanged(field: object, value: Any) -> Any:
    """Return a stored value unchanged: its type is JSON's, and it needs no validation."""
    return value


class Text(serializers.CharField):
    """A JSON string."""

    default_error_messages = {"invalid": "Must be a string."}
    to_representation = unchanged

    def to_internal_value(self, data: Any) -> str:
        """Refuse a value that is not a string."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Choice(serializers.ChoiceField):
    """A JSON string out of several choices."""

    default_error_messages = {"invalid_choice": "{input} is not one of the choices: {choices}."}
    to_representation = unchanged

    def to_internal_value(self, data: Any) -> Any:
        """Refuse a value that is not one of the choices, and list them."""
        if not isinstance(data, str) or data not in self.choices:
            names = ", ".join(json.dumps(choice) for choice in self.choices)
            self.fail("invalid_choice", input=json.dumps(data)[:80], choices=names)
        return data


class Flag(serializers.BooleanField):
    """A JSON boolean."""

    default_error_messages = {"invalid": "Must be true or false."}
    to_representation = unchanged

    def to_internal_value(self, data: Any) -> bool:
        """Refuse a value that is not a boolean."""
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class RelatedColumn:
    """A mixin for a field that is a column of a related row.

    `related_row` finds the related row, once for all such fields.
    """

    related_row: Callable[[Any], Any]
    source: str | None
    to_representation = unchanged

    def get_attribute(self, instance: Any) -> Any:
        """Return the column."""
        return getattr(self.related_row(instance), str(self.source))


class FlagText(serializers.BooleanField):
    """A boolean in a query string."""

    default_error_messages = {"invalid": "Must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        """Refuse other words that REST framework would accept, such as "yes"."""
        if data not in {"true", "false"}:
            self.fail("invalid")
        return bool(data == "true")


class WholeNumber(serializers.IntegerField):
    """A JSON number without a fraction: 5 or, as in JSON Schema, 5.0."""

    default_error_messages = {"invalid": "Must be a whole number."}
    to_representation = unchanged

    def to_internal_value(self, data: Any) -> int:
        """Refuse a value that is not an integer."""
        if isinstance(data, float) and data.is_integer():
            return int(data)
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return data


class Digits(serializers.IntegerField):
    """A whole number in a query string."""

    default_error_messages = {"invalid": "Must be a whole number, in digits."}

    def to_internal_value(self, data: Any) -> int:
        """Refuse text other than digits that int() would accept, such as "1_0"."""
        if not (data.isascii() and data.isdigit()):
            self.fail("invalid")
        return super().to_internal_value(data)


class Number(serializers.FloatField):
    """A JSON number, stored as a decimal of `decimal_places`."""

    default_error_messages = {"invalid": "Must be a number."}

    def to_internal_value(self, data: Any) -> float:
        """Refuse a value that is not a number."""
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class Instant(serializers.DateTimeField):
    """A date and time: ISO 8601 with an offset in requests, UTC in responses."""

    default_error_messages = {
        "invalid": (
            "Must be a date and time with an offset, for example 2027-03-28T01:00:00Z "
            "(in a URL write + as %2B)."
        ),
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=UTC, **kwargs)

    def to_internal_value(self, value: Any) -> datetime:
        """Refuse a date and time without an offset, which is ambiguous."""
        if not isinstance(value, str):
            self.fail("invalid", format="")
        return super().to_internal_value(value)

    def enforce_timezone(self, value: datetime) -> datetime:
        """Return the date and time in UTC."""
        if value.tzinfo is None:
            self.fail("invalid", format="")
        try:
            return value.astimezone(UTC)
        except OverflowError:
            self.fail("overflow")

    def to_representation(self, value: datetime) -> str:
        """Return the date and time in UTC."""
        return in_utc(value)


class FutureInstant(Instant):
    """A date and time in the future."""

    default_error_messages = {"in_the_past": "Must be in the future, or null."}

    def to_internal_value(self, value: Any) -> datetime:
        """Refuse a date and time in the past."""
        moment = super().to_internal_value(value)
        if moment <= datetime.now(UTC):
            self.fail("in_the_past")
        return moment


def in_utc(moment: datetime) -> str:
    """Format a date and time in UTC: `2027-03-28T01:00:00Z`, with a fraction unless it is zero."""
    return to_json(moment.astimezone(UTC))[1:-1].decode()  # faster than isoformat


class BoundedList(serializers.ListField):
    """A JSON array of at most `max_length` items.

    REST framework would validate all items before it looks at their number, and collect the
    mistakes of all.
    """

    max_length: int

    def __init__(self, *, max_length: int, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, **kwargs)

    def to_internal_value(self, data: Any) -> list[Any]:
        """Refuse an array that is too long before its items are validated."""
        if isinstance(data, list) and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        values: list[Any] = super().to_internal_value(data)
        return values

    def run_child_validation(self, data: Any) -> list[Any]:
        """Validate the items, until there are more mistakes than a response lists."""
        values: list[Any] = []
        errors: dict[Any, Any] = {}
        for index, item in enumerate(data):
            try:
                values.append(self.child.run_validation(item))
            except serializers.ValidationError as error:
                errors[index] = error.detail
                if len(errors) > MAX_ERRORS:
                    break
        if errors:
            raise serializers.ValidationError(errors)
        return values


class Reference(serializers.PrimaryKeyRelatedField[Any]):
    """The ID of another row, or null."""

    in_requests: Mapping[str, Any] = {"minimum": 1}
    to_representation = unchanged

    def __init__(self, **kwargs: Any) -> None:
        if not kwargs.get("read_only"):
            kwargs = {"allow_null": True, "default": None, **kwargs}
        super().__init__(pk_field=WholeNumber(), **kwargs)

    def get_attribute(self, instance: Any) -> int | None:
        """Return the ID from the foreign key column, without fetching the other row."""
        pk: int | None = instance.serializable_value(self.source)
        return pk


class StoredJSON(serializers.Field[Any, Any, Any, Any]):
    """A JSON array or object that the database stores as text.

    Other programs write the column, too: text that is no such JSON reads as null.
    """

    default_error_messages = {"invalid": "Must be a JSON {kind}."}
    names: Mapping[type, str] = {list: "array", dict: "object"}

    def __init__(self, *, json_type: type, **kwargs: Any) -> None:
        super().__init__(default=json_type, **kwargs)
        self.json_type = json_type

    def to_representation(self, value: str | None) -> Any:
        """Parse the stored text."""
        return read_json(value, self.json_type)

    def to_internal_value(self, data: Any) -> Any:
        """Return the value unchanged; StrictJSONParser has bounded it."""
        if not isinstance(data, self.json_type):
            self.fail("invalid", kind=self.names[self.json_type])
        return data


EMPTY: Mapping[type, str] = {list: "[]", dict: "{}"}
# Matches every number that Python could read as infinite.
LARGE_NUMBER = re.compile(r"[0-9][eE]|[0-9]{300}")


def read_json(text: str | None, json_type: type) -> Any:
    """Parse stored text; return None if it is not JSON of this type.

    Empty text is an empty value, as in django-celery-beat. NaN, infinities, lone surrogates and
    more than 200 levels are refused: they could not be serialized, or stored again.
    """
    if not text or text == EMPTY[json_type]:  # the most frequent case
        return json_type()
    try:
        document = from_json(text, allow_inf_nan=False)
        if LARGE_NUMBER.search(text):
            json.dumps(document, allow_nan=False)
    except ValueError:
        return None
    return document if isinstance(document, json_type) else None
