"""Fields that take a JSON value of one type only, and say which when another comes.

REST framework's own fields coerce: "yes" would be true, 1 would be "1", "5" would be 5.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json, to_json
from rest_framework import serializers


def as_it_is(field: object, value: Any) -> Any:
    """Return a value that JSON has, too: what is stored has been checked, or is told anyway."""
    return value


class Text(serializers.CharField):
    """A JSON string."""

    default_error_messages = {"invalid": "Must be a string."}
    to_representation = as_it_is

    def to_internal_value(self, data: Any) -> str:
        """Refuse what is not a string."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Choice(serializers.ChoiceField):
    """One of several JSON strings."""

    default_error_messages = {"invalid_choice": "{input} is not one of {choices}."}
    to_representation = as_it_is

    def to_internal_value(self, data: Any) -> Any:
        """Refuse what is not one of the choices, and name them."""
        if not isinstance(data, str) or data not in self.choices:
            names = ", ".join(json.dumps(choice) for choice in self.choices)
            self.fail("invalid_choice", input=json.dumps(data)[:80], choices=names)
        return data


class Flag(serializers.BooleanField):
    """A JSON boolean."""

    default_error_messages = {"invalid": "Must be true or false."}
    to_representation = as_it_is

    def to_internal_value(self, data: Any) -> bool:
        """Refuse what is not a boolean."""
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class OfAnotherRow:
    """A field that is a plain column of a row that belongs to the one that is read.

    `row_of` finds it; of several such fields, once for all.
    """

    row_of: Callable[[Any], Any]
    source: str | None
    to_representation = as_it_is

    def get_attribute(self, instance: Any) -> Any:
        """Return the column."""
        return getattr(self.row_of(instance), str(self.source))


class FlagText(serializers.BooleanField):
    """A boolean in a query string."""

    default_error_messages = {"invalid": "Must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        """Refuse what REST framework would take beyond the two words, such as "yes"."""
        if data not in {"true", "false"}:
            self.fail("invalid")
        return bool(data == "true")


class WholeNumber(serializers.IntegerField):
    """A JSON number without a fraction: 5 or, as JSON Schema also has it, 5.0."""

    default_error_messages = {"invalid": "Must be a whole number."}
    to_representation = as_it_is

    def to_internal_value(self, data: Any) -> int:
        """Refuse what is not an integer."""
        if isinstance(data, float) and data.is_integer():
            return int(data)
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return data


class Digits(serializers.IntegerField):
    """A whole number in a query string."""

    default_error_messages = {"invalid": "Must be a whole number, in digits."}

    def to_internal_value(self, data: Any) -> int:
        """Refuse what int() would take beyond digits, such as "1_0"."""
        if not (data.isascii() and data.isdigit()):
            self.fail("invalid")
        return super().to_internal_value(data)


class Number(serializers.FloatField):
    """A JSON number, kept as a decimal of `decimal_places`."""

    default_error_messages = {"invalid": "Must be a number."}

    def to_internal_value(self, data: Any) -> float:
        """Refuse what is not a number."""
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class Instant(serializers.DateTimeField):
    """A moment: ISO 8601 with an offset in, UTC out."""

    default_error_messages = {
        "invalid": (
            "Must be a date and time with an offset, for example 2027-03-28T01:00:00Z "
            "(in a URL write + as %2B)."
        ),
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=UTC, **kwargs)

    def to_internal_value(self, value: Any) -> datetime:
        """Refuse a date and time without an offset: nobody knows which moment it is."""
        if not isinstance(value, str):
            self.fail("invalid", format="")
        return super().to_internal_value(value)

    def enforce_timezone(self, value: datetime) -> datetime:
        """Return the moment in UTC."""
        if value.tzinfo is None:
            self.fail("invalid", format="")
        try:
            return value.astimezone(UTC)
        except OverflowError:
            self.fail("overflow")

    def to_representation(self, value: datetime) -> str:
        """Return the moment in UTC."""
        return in_utc(value)


class FutureInstant(Instant):
    """A moment that is to come."""

    default_error_messages = {"in_the_past": "Must be in the future, or null."}

    def to_internal_value(self, value: Any) -> datetime:
        """Refuse a moment that has passed."""
        moment = super().to_internal_value(value)
        if moment <= datetime.now(UTC):
            self.fail("in_the_past")
        return moment


def in_utc(moment: datetime) -> str:
    """Write a moment: `2027-03-28T01:00:00Z`, with the fraction of its second if it has one."""
    return to_json(moment.astimezone(UTC))[1:-1].decode()  # faster than isoformat


class Reference(serializers.PrimaryKeyRelatedField[Any]):
    """The id of another row, or null."""

    in_requests: Mapping[str, Any] = {"minimum": 1}
    to_representation = as_it_is

    def __init__(self, **kwargs: Any) -> None:
        if not kwargs.get("read_only"):
            kwargs = {"allow_null": True, "default": None, **kwargs}
        super().__init__(pk_field=WholeNumber(), **kwargs)

    def get_attribute(self, instance: Any) -> int | None:
        """Return the id, which the row holds: the other row need not be fetched."""
        pk: int | None = instance.serializable_value(self.source)
        return pk


class StoredJSON(serializers.Field[Any, Any, Any, Any]):
    """A JSON array or object that the database keeps as text.

    What is stored may be something else, since others write it too: that reads as null.
    """

    default_error_messages = {"invalid": "Must be a JSON {kind}."}
    names: Mapping[type, str] = {list: "array", dict: "object"}

    def __init__(self, *, json_type: type, **kwargs: Any) -> None:
        super().__init__(default=json_type, **kwargs)
        self.json_type = json_type

    def to_representation(self, value: str | None) -> Any:
        """Read the stored text."""
        return read_json(value, self.json_type)

    def to_internal_value(self, data: Any) -> Any:
        """Return the value as it came; StrictJSONParser has bounded it."""
        if not isinstance(data, self.json_type):
            self.fail("invalid", kind=self.names[self.json_type])
        return data


EMPTY: Mapping[type, str] = {list: "[]", dict: "{}"}
# What may be a number that is infinite to Python.
LARGE_NUMBER = re.compile(r"[0-9][eE]|[0-9]{300}")


def read_json(text: str | None, json_type: type) -> Any:
    """Read stored text; None when it is not JSON of this type.

    Empty text is an empty value, as for django-celery-beat. NaN, infinities, half a surrogate
    pair and more than 200 levels are no JSON here: they could not be answered, or stored again.
    """
    if not text or text == EMPTY[json_type]:  # as most are
        return json_type()
    try:
        document = from_json(text, allow_inf_nan=False)
        if LARGE_NUMBER.search(text):
            json.dumps(document, allow_nan=False)
    except ValueError:
        return None
    return document if isinstance(document, json_type) else None
