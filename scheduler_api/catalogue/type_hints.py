"""Check a JSON value against a Python type hint, and explain violations in terms of JSON."""

import json
import re
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeAlias, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails

Path: TypeAlias = tuple[str | int, ...]

ANY_VALUE: TypeAdapter[Any] = TypeAdapter(Any)


class SchemaGenerator(GenerateJsonSchema):
    """pydantic's generator; it leaves out a default that is not JSON, without a warning."""

    ignored_warning_kinds = GenerateJsonSchema.ignored_warning_kinds | {"non-serializable-default"}


def adapter_for(
    annotation: object, *, namespace: Mapping[str, object], nullable: bool = False
) -> TypeAdapter[Any]:
    """Return the adapter that checks values against an annotation, which may be a string.

    Return ``ANY_VALUE`` for an annotation that cannot be resolved in ``namespace`` or has no JSON
    form. Its task stays usable, and only its worker can judge the value.
    """
    annotated = SimpleNamespace(__annotations__={"value": annotation})
    try:
        hint = get_type_hints(annotated, dict(namespace), include_extras=True)["value"]
        adapter = TypeAdapter[Any](hint)
        if not adapter.json_schema(schema_generator=SchemaGenerator):
            return ANY_VALUE
        return TypeAdapter(hint | None) if nullable else adapter
    except Exception:  # noqa: BLE001 - an annotation is an arbitrary expression of user code
        return ANY_VALUE


def check_value(adapter: TypeAdapter[Any], value: object) -> list[tuple[Path, str]]:
    """Return every mistake in a parsed JSON value: its path inside the value, and a sentence.

    Celery passes arguments to a task unchanged, so nothing is coerced: this is pydantic's strict
    mode for JSON, in which "5" is not an integer, yet an ISO string is a datetime.
    """
    if adapter is ANY_VALUE:
        return []
    try:
        adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as refusal:
        return _explain_refusal(refusal, value)
    except Exception as crash:  # noqa: BLE001 - user code of a validator, or too deep a value
        return [((), f"cannot be checked: its type raised {type(crash).__name__}")]
    return []


def is_accepted(adapter: TypeAdapter[Any], value: object) -> bool:
    """Return whether a parsed JSON value matches a hint."""
    return not check_value(adapter, value)


class Violation(NamedTuple):
    """A violated expectation: the path in the value, and a phrase such as "must be an integer".

    ``is_of_type`` is true if the expectation concerns the JSON type of the value.
    """

    path: Path
    phrase: str
    is_of_type: bool = False


def explain(violations: Iterable[Violation], value: object) -> list[tuple[Path, str]]:
    """Return one sentence for each path."""
    by_path: dict[Path, list[Violation]] = {}
    for violation in violations:
        by_path.setdefault(violation.path, []).append(violation)
    # A union reports all its branches: the branch that matched deepest is the intended one.
    ancestors = {path[:depth] for path in by_path for depth in range(len(path))}
    return [
        (path, _sentence(found, _follow(path, value)))
        for path, found in by_path.items()
        if path not in ancestors
    ]


def _explain_refusal(refusal: ValidationError, value: object) -> list[tuple[Path, str]]:
    errors = refusal.errors(include_url=False, include_context=False, include_input=False)
    return explain(
        [Violation(_path(error, value), _phrase(error), _is_of_type(error)) for error in errors],
        value,
    )


def _is_of_type(error: ErrorDetails) -> bool:
    return error["type"].endswith(("_type", "none_required"))


def _path(error: ErrorDetails, value: Any) -> Path:
    """Return the error's location without the parts that are not in the value: union branches."""
    path = []
    for part in error["loc"]:
        if _has(value, part):
            path.append(part)
            value = value[part]
    if error["type"] in _MISSING:
        path.append(error["loc"][-1])
    return tuple(path)


def _follow(path: Path, value: Any) -> Any:
    for part in path:
        value = value[part] if _has(value, part) else None
    return value


def _has(value: object, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


_MISSING = {"missing", "missing_argument", "missing_keyword_only_argument"}
_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}
_ARRAYS = {"list_type", "tuple_type", "set_type", "frozen_set_type", "deque_type", "iterable_type"}
_PHRASES = {
    **dict.fromkeys(_MISSING, "is required"),
    **dict.fromkeys(_UNKNOWN, "is not a known field"),
    **dict.fromkeys(_ARRAYS, "must be an array"),
    "bool_type": "must be a boolean",
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "string_type": "must be a string",
    "bytes_type": "must be a string",
    "decimal_type": "must be a number or a string of digits",
    "uuid_type": "must be a UUID string",
    "datetime_type": "must be an ISO 8601 datetime",
    "date_type": "must be an ISO 8601 date",
    "time_type": "must be an ISO 8601 time",
    "time_delta_type": "must be an ISO 8601 duration",
}
_TYPES: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a floating-point number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def _sentence(violations: list[Violation], value: object) -> str:
    """Return the sentence for one path: "must be an integer, not a string"."""
    first, *others = dict.fromkeys(violation.phrase for violation in violations)
    expected = " or ".join([first, *(phrase.removeprefix("must be ") for phrase in others)])
    if all(violation.is_of_type for violation in violations):
        sentence = f"{expected}, not {_TYPES[type(value)]}"
        return f"{sentence}: send true or false" if expected == "must be a boolean" else sentence
    if first.startswith("must ") and not isinstance(value, list | dict):
        return f"{expected}; got {_shortened(json.dumps(value, ensure_ascii=False))}"
    return expected


def _phrase(error: ErrorDetails) -> str:
    message = re.sub(r"^(Value error|Assertion failed), ", "", error["msg"])
    phrase = _PHRASES.get(error["type"]) or re.sub(r"^\w+ should ", "must ", message)
    return f"its key {phrase}" if error["loc"][-1:] == ("[key]",) else phrase


def _shortened(text: str, *, width: int = 60) -> str:
    return text if len(text) <= width else f"{text[:width]}…"
