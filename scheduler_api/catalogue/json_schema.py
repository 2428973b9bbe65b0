"""Check a JSON value against a JSON Schema that pydantic generated from a type hint.

Used where only a worker has the code with the hint. Violations have the same paths and phrases as
in `type_hints`.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from functools import cached_property, partial
from typing import Any, cast
from uuid import UUID

from jsonschema import Draft202012Validator, FormatChecker, TypeChecker, ValidationError
from jsonschema.validators import extend
from pydantic import TypeAdapter
from referencing import Registry

from scheduler_api.catalogue.type_hints import Path, Violation, explain, is_accepted
from scheduler_api.log_events import EventLogger, LogEvent

logger = EventLogger(__name__)

FORMATS: Mapping[str, tuple[TypeAdapter[Any], str]] = {
    "date-time": (TypeAdapter(datetime), "must be an ISO 8601 datetime"),
    "date": (TypeAdapter(date), "must be an ISO 8601 date"),
    "time": (TypeAdapter(time), "must be an ISO 8601 time"),
    "duration": (TypeAdapter(timedelta), "must be an ISO 8601 duration"),
    "uuid": (TypeAdapter(UUID), "must be a UUID string"),
}
TYPES = {
    "null": "must be null",
    "boolean": "must be a boolean",
    "integer": "must be an integer",
    "number": "must be a number",
    "string": "must be a string",
    "array": "must be an array",
    "object": "must be an object",
}
# The phrase for a value that is out of bounds; `{}` is the bound.
BOUNDS = {
    "minimum": "must be greater than or equal to {}",
    "maximum": "must be less than or equal to {}",
    "exclusiveMinimum": "must be greater than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "minProperties": "must have at least {} items",
    "maxProperties": "must have at most {} items",
    "pattern": "must match the pattern {}",
}
# A value may fail several schemas together: the innermost errors name the mistake.
BRANCHES = {"anyOf", "oneOf"}


def _is_integer(_: TypeChecker, value: object) -> bool:
    """Return whether a value is an integer in pydantic's strict mode, in which 1.0 is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_of_format(adapter: TypeAdapter[Any], value: object) -> bool:
    """Return whether a string has a format. The check of the type covers other values."""
    return not isinstance(value, str) or is_accepted(adapter, value)


_formats = FormatChecker(formats=())
for _name, (_adapter, _) in FORMATS.items():
    _formats.checks(_name)(partial(_is_of_format, _adapter))

_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    # A set is sent as an array, in which pydantic allows a value to occur twice.
    {"uniqueItems": lambda *_: ()},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


class SchemaValidator:
    """A schema with its `$defs`, to check values against."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema

    @cached_property
    def _validator(self) -> Any:
        # An empty registry: without it, a reference would be looked up over the network.
        return _Validator(self.schema, registry=Registry(), format_checker=_formats)

    def check_value(self, value: object) -> list[tuple[Path, str]]:
        """Return every mistake in a parsed JSON value: its path inside it, and a sentence."""
        try:
            errors = self._validator.iter_errors(value)
            violations = [violation for error in errors for violation in violations_of(error)]
        except Exception:  # a schema of another program: only the worker can judge
            logger.exception(
                LogEvent.JSON_SCHEMA_INVALID,
                "A JSON Schema cannot be evaluated and accepts every value: %(json_schema)r",
                json_schema=self.schema,
            )
            return []
        return explain(violations, value)


def violations_of(error: ValidationError) -> Iterator[Violation]:
    """Yield the violations that an error consists of."""
    path, keyword = tuple(error.absolute_path), str(error.validator)
    wanted: Any = error.validator_value
    value, schema = cast(Any, error.instance), cast(Any, error.schema)
    if keyword in BRANCHES and error.context:
        for inner in error.context:
            yield from violations_of(inner)
    elif keyword == "required":
        for name in wanted:
            if name not in value:
                yield Violation((*path, name), "is required")
    elif keyword == "additionalProperties":
        for name in value:
            if name not in schema.get("properties", ()):
                yield Violation((*path, name), "is not a known field")
    elif keyword == "type":
        yield Violation(path, phrase_of_types(wanted, schema), is_of_type=True)
    else:
        yield Violation(path, phrase(keyword, wanted))


def phrase_of_types(wanted: str | list[str], schema: Mapping[str, Any]) -> str:
    """Return the phrase for a value of another type."""
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]][1]
    types = [wanted] if isinstance(wanted, str) else wanted
    first, *others = (TYPES.get(name, f"must be of type {name}") for name in types)
    return " or ".join([first, *(other.removeprefix("must be ") for other in others)])


def phrase(keyword: str, wanted: Any) -> str:
    """Return the phrase for a value that violates a keyword."""
    if keyword == "format":
        return FORMATS[wanted][1]
    if keyword in {"enum", "const"}:
        values = wanted if keyword == "enum" else [wanted]
        *others, last = (json.dumps(value, ensure_ascii=False) for value in values)
        return f"must be {', '.join(others)} or {last}" if others else f"must be {last}"
    if keyword in BOUNDS:
        text = BOUNDS[keyword].format(json.dumps(wanted, ensure_ascii=False))
        return text.removesuffix("s") if wanted == 1 and text.endswith("s") else text
    return f"does not match its JSON Schema ({keyword})"
