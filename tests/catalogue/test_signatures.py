"""The signature of a callable: its parameters as JSON Schema."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal, Protocol, Unpack

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from scheduler_api.catalogue.signatures import signature_of
from tests.catalogue import postponed_hints


def without_address(value: object) -> str:
    """Return an id without addresses, so that all processes of a test run name a case alike."""
    return re.sub(" at 0x[0-9a-f]+", "", repr(value))


class Colour(StrEnum):
    RED = "red"


class Level(Enum):
    LOW = 1


class Item(BaseModel):
    name: str
    since: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    opener: Any = object()


class Order(BaseModel):
    items: list[Item]
    follows: "Order | None" = None


class Box(TypedDict):
    size: int


@dataclass
class Point:
    x: int


class Opaque:
    pass


class Unfinished(BaseModel):
    part: "NowhereToBeFound"  # noqa: F821


class Speaks(Protocol):
    def speak(self) -> str: ...


def properties_of(function: Callable[..., object]) -> dict[str, Any]:
    return signature_of(function).schema["properties"]


def test_schema_of_a_task_is_an_object_of_its_parameters():
    def report(x: int, be_careful: bool = False) -> None: ...

    assert signature_of(report).schema == {
        "type": "object",
        "properties": {
            "x": {"type": "integer"},
            "be_careful": {"type": "boolean", "default": False},
        },
        "required": ["x"],
        "additionalProperties": False,
    }


def test_schema_of_a_task_without_parameters_accepts_none():
    assert signature_of(lambda: None).schema == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }


def test_schema_names_every_parameter_kind_but_the_ordinary_one():
    def task(first: int, /, second: str, *rest: float, third: bool, **more: int) -> None: ...

    schema = signature_of(task).schema

    assert list(schema["properties"].items()) == [
        ("first", {"type": "integer", "x-parameter-kind": "positional_only"}),
        ("second", {"type": "string"}),
        (
            "rest",
            {
                "type": "array",
                "items": {"type": "number"},
                "x-parameter-kind": "var_positional",
            },
        ),
        ("third", {"type": "boolean", "x-parameter-kind": "keyword_only"}),
    ]
    assert schema["required"] == ["first", "second", "third"]
    assert schema["additionalProperties"] == {"type": "integer"}


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Literal["a", "b"], {"enum": ["a", "b"], "type": "string"}),
        (Annotated[int, Field(ge=1)], {"type": "integer", "minimum": 1}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (set[int], {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
        (datetime, {"type": "string", "format": "date-time"}),
        (Colour, {"$ref": "#/$defs/Colour"}),
        (Order, {"$ref": "#/$defs/Order"}),
        (Box, {"$ref": "#/$defs/Box"}),
        (Point, {"$ref": "#/$defs/Point"}),
        ("Callable", {}),
        (Any, {}),
        (object, {}),
        (Opaque, {}),
        (Speaks, {}),
        (Unfinished, {}),
        (type[int], {}),
        (Callable[[], int], {}),
        (dict[str, Opaque], {}),
        ("NowhereToBeFound", {}),
        ("list[NowhereToBeFound]", {}),
        (list["NowhereToBeFound"], {}),  # noqa: F821
        ("not python", {}),
        (5, {}),
    ],
    ids=str,
)
def test_hint_becomes_a_schema_or_accepts_any_value(hint, schema):
    def task(x, y: int) -> None: ...

    task.__annotations__["x"] = hint

    assert properties_of(task) == {"x": schema, "y": {"type": "integer"}}


@pytest.mark.parametrize(
    ("default", "shown"),
    [
        (None, {"default": None}),
        (1.5, {"default": 1.5}),
        ([1, {"a": None}], {"default": [1, {"a": None}]}),
        (Colour.RED, {"default": "red"}),
        (Level.LOW, {}),
        ((1, 2), {}),
        ({1: 2}, {}),
        (float("nan"), {}),
        (date(2026, 1, 1), {}),
        (Decimal(1), {}),
        (object(), {}),
    ],
    ids=without_address,
)
def test_default_is_in_the_schema_if_it_is_json(default, shown):
    def task(x=default) -> None: ...

    assert properties_of(task) == {"x": shown}
    assert signature_of(task).schema["required"] == []


def test_parameter_with_default_none_is_nullable():
    def task(x: int = None, y: Any = None) -> None: ...  # noqa: RUF013 - the subject

    assert properties_of(task) == {
        "x": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "y": {"default": None},
    }


def test_definitions_are_at_the_root_and_models_with_one_name_stay_distinct():
    def other_item() -> type[BaseModel]:
        class Item(BaseModel):
            weight: float

        return Item

    def task(order: Order, item, *more: Colour, **points: Point) -> None: ...

    task.__annotations__["item"] = other_item()

    schema = signature_of(task).schema
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)

    assert len(schema["$defs"]) == 5
    assert validator.is_valid({"order": {"items": [{"name": "a"}]}, "item": {"weight": 1}})
    assert validator.is_valid({"order": {"items": []}, "item": {"weight": 1}, "p": {"x": 1}})
    assert not validator.is_valid({"order": {"items": []}, "item": {"name": "a"}})
    assert not validator.is_valid({"order": {"items": []}, "item": {"weight": 1}, "p": {"x": "1"}})


def test_string_hints_are_resolved_in_their_module():
    assert properties_of(postponed_hints.task) == postponed_hints.EXPECTED
    assert properties_of(postponed_hints.decorated) == postponed_hints.EXPECTED


def test_decorated_function_has_its_written_signature():
    def logged(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapper

    @logged
    @logged
    def task(x: int) -> None: ...

    assert properties_of(task) == {"x": {"type": "integer"}}


def test_signature_of_a_method_has_no_self():
    class Reports:
        def run(self, x: int) -> None: ...

    assert properties_of(Reports().run) == {"x": {"type": "integer"}}


def test_builtin_without_a_signature_accepts_any_arguments():
    schema = signature_of(min).schema

    assert schema["properties"] == {
        "args": {"type": "array", "items": {}, "x-parameter-kind": "var_positional"}
    }
    assert schema["additionalProperties"] == {}


def test_unpacked_typed_dict_accepts_any_keywords():
    def task(**more: Unpack[Box]) -> None: ...

    assert signature_of(task).schema["additionalProperties"] == {}
