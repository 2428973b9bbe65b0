"""Arguments checked against the stored schema of a signature, compared with its code."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from scheduler_api.catalogue.arguments import check_arguments
from scheduler_api.catalogue.json_schema import SchemaValidator
from scheduler_api.catalogue.signatures import TaskSignature, signature_from, signature_of


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel, extra="forbid"):
    name: str
    count: Annotated[int, Field(ge=1)] = 1


class Order(BaseModel):
    items: list[Item]
    follows: "Order | None" = None


@dataclass
class Point:
    x: int


def plain(first: int, second: str = "b", *, third: bool = False) -> None: ...
def every_kind(first: int, /, second: str, *rest: float, third: bool, **more: int) -> None: ...
def open_to_all(*args: Any, **kwargs: Any) -> None: ...
def nothing() -> None: ...
def without_hints(first, second=None): ...


def hinted(  # noqa: PLR0917 - parameters can be passed by position
    order: Order | None = None,
    colour: Colour = Colour.RED,
    since: datetime | None = None,
    day: date = date(2026, 1, 1),
    after: timedelta = timedelta(0),
    key: UUID | None = None,
    size: Literal["s", "m"] = "s",
    price: Decimal | None = None,
    either: int | str = 0,
    points: dict[str, Point] = {},  # noqa: B006 - nothing changes it
    tags: set[str] | None = None,
    pair: tuple[int, str] = (0, ""),
    nested: list[list[int]] = [],  # noqa: B006
) -> None: ...


AT_LEAST_1 = "must be greater than or equal to 1; got 0"
FUNCTIONS = [plain, every_kind, open_to_all, nothing, without_hints, hinted]


def signature_from_schema(function: Callable[..., object]) -> TaskSignature:
    """Return the signature from its schema as text, as a process without the code has it."""
    return signature_from(json.loads(json.dumps(signature_of(function).schema)))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_signature_from_schema_has_the_same_parameters(function):
    known, whole = signature_from_schema(function), signature_of(function)

    assert known.schema == whole.schema
    assert [
        (parameter.name, parameter.kind, parameter.required)
        for parameter in known.parameters
        if parameter.name
    ] == [
        (parameter.name, parameter.kind, parameter.required)
        for parameter in whole.parameters
        if parameter is not whole.var_keyword
    ]
    assert (known.var_keyword is None) == (whole.var_keyword is None)


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (plain, [], {}),
        (plain, ["1"], {}),
        (plain, [1.0], {}),
        (plain, [True], {}),
        (plain, [1, 2, 3], {}),
        (plain, [1], {"first": 1, "secnd": "b", "third": 0}),
        (every_kind, [1, "b", 1.5, "c"], {"third": True, "fourth": "d"}),
        (every_kind, [], {"first": 1}),
        (hinted, [], {"order": {"items": [{"count": 0}]}}),
        (hinted, [], {"order": {"items": [{"name": 5, "colour": "red"}]}}),
        (hinted, [], {"order": {"items": [], "follows": {"items": [{}]}}}),
        (hinted, [], {"since": "yesterday"}),
        (hinted, [], {"since": 5}),
        (hinted, [], {"since": "2026-01-01T00:00:00Z", "day": "2026-02-30"}),
        (hinted, [], {"after": "PT5M", "key": "no", "day": 1}),
        (hinted, [], {"points": {"a": {"x": "1"}, "b": {}}}),
        (hinted, [], {"nested": [[1], ["2"], 3]}),
        (hinted, [], {"either": None}),
        (hinted, [], {"tags": ["a", "a"]}),
        (hinted, [], {"pair": ["a", 1]}),
        (hinted, [], {"order": []}),
    ],
)
def test_schema_check_reports_the_same_pointers_and_codes_as_the_code(function, args, kwargs):
    found = check_arguments(signature_from_schema(function), args, kwargs)
    by_code = check_arguments(signature_of(function), args, kwargs)

    assert {(error.pointer, error.code) for error in found} == {
        (error.pointer, error.code) for error in by_code
    }


@pytest.mark.parametrize(
    ("kwargs", "detail"),
    [
        ({"nested": [["2"]]}, "must be an integer, not a string"),
        ({"nested": 1}, "must be an array, not an integer"),
        ({"since": "yesterday"}, 'must be an ISO 8601 datetime or null; got "yesterday"'),
        ({"size": "xl"}, 'must be "s" or "m"; got "xl"'),
        ({"order": {"items": [{"name": "", "count": 0}]}}, AT_LEAST_1),
        ({"order": {"items": [{}]}}, "is required"),
        ({"order": {"items": [{"name": "a", "colour": 1}]}}, "is not a known field"),
        ({"either": None}, "must be an integer or a string, not null"),
        ({"colour": "green"}, 'must be "red" or "blue"; got "green"'),
    ],
)
def test_schema_violation_is_explained_in_terms_of_json(kwargs, detail):
    [error] = check_arguments(signature_from_schema(hinted), [], kwargs)

    assert error.detail == detail


def test_schema_violation_of_a_boolean_explains_the_correction():
    [error] = check_arguments(signature_from_schema(plain), [1], {"third": 1})

    assert error.detail == "must be a boolean, not an integer: send true or false"


@given(
    st.sampled_from([plain, every_kind, hinted]),
    st.lists(st.none() | st.booleans() | st.integers() | st.text(max_size=3), max_size=4),
    st.dictionaries(
        st.sampled_from(["first", "second", "third", "either", "size", "tags", "x"]),
        st.none() | st.booleans() | st.integers() | st.lists(st.text(max_size=2), max_size=2),
    ),
)
def test_schema_check_of_any_call_agrees_with_the_code(function, args, kwargs):
    found = check_arguments(signature_from_schema(function), args, kwargs)
    by_code = check_arguments(signature_of(function), args, kwargs)

    assert [(error.pointer, error.code) for error in found] == [
        (error.pointer, error.code) for error in by_code
    ]


def test_schema_that_cannot_be_evaluated_accepts_any_value(caplog):
    foreign = {"$ref": "https://127.0.0.1:1/schema.json"}

    assert SchemaValidator(foreign).check_value({"any": "thing"}) == []
    assert SchemaValidator({"pattern": "(?u"}).check_value("text") == []
    assert SchemaValidator({"type": "what"}).check_value(1) == []

    messages = [record.getMessage() for record in caplog.records]
    assert (
        messages[-1]
        == "A JSON Schema cannot be evaluated and accepts every value: {'type': 'what'}"
    )
    assert len(messages) == 3
