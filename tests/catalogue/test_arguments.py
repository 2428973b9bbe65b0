"""Checks of the arguments of a call: pointers, codes and sentences of refusals."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from time import process_time
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from scheduler_api.catalogue.arguments import ArgumentError, check_arguments
from scheduler_api.catalogue.signatures import signature_of

UUID_TEXT = "8c9e5a0a-7a4e-4d0c-9d0a-0f3f0e6f3c11"


def without_address(value: object) -> str:
    """Return an id without addresses, so that all processes of a test run name a case alike."""
    return re.sub(" at 0x[0-9a-f]+", "", repr(value))


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    weight: float = 1


class Order(BaseModel):
    items: list[Item]
    follows: "Order | None" = None


class Box(TypedDict):
    size: int


class Pair(NamedTuple):
    left: int
    right: int


@dataclass
class Point:
    x: int
    y: int = 0


def even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


def crash(value: int) -> int:
    raise KeyError(value)


def task_with_hint(hint: object) -> Callable[..., None]:
    def task(x) -> None: ...

    task.__annotations__["x"] = hint
    return task


def errors_of(function, args=(), kwargs=None) -> list[tuple[str, str, str]]:
    errors = check_arguments(signature_of(function), list(args), kwargs or {})
    return [(error.pointer, error.code, error.detail) for error in errors]


FITTING = [
    (int, 10**30),
    (float, 1),
    (float, 1.5),
    (bool, True),
    (str, ""),
    (bytes, "text"),
    (None, None),
    (int | None, None),
    (tuple[int, str], [1, "a"]),
    (set[int], [1, 2]),
    (dict[str, list[int]], {"a": [1]}),
    (dict[int, str], {"1": "a"}),
    (datetime, "2026-01-31T12:00:00+01:00"),
    (date, "2026-01-31"),
    (time, "12:00:00"),
    (timedelta, "PT5M"),
    (UUID, UUID_TEXT),
    (Decimal, "1.50"),
    (Decimal, 1.5),
    (Colour, "red"),
    (Literal["a", 1], 1),
    (Annotated[int, Field(ge=1)], 1),
    (Order, {"items": [{"name": "a"}], "follows": {"items": []}}),
    (Box, {"size": 1}),
    (Point, {"x": 1}),
    (Pair, [1, 2]),
    (Annotated[int, AfterValidator(even)], 2),
    ("NowhereToBeFound", {"anything": "goes"}),
    (Any, ["\ud800"]),
]


@pytest.mark.parametrize(("hint", "value"), FITTING, ids=without_address)
def test_json_value_that_fits_its_hint_is_accepted(hint, value):
    assert errors_of(task_with_hint(hint), [value]) == []
    assert errors_of(task_with_hint(hint), kwargs={"x": value}) == []


@pytest.mark.parametrize(
    ("hint", "value", "spot", "detail"),
    [
        (int, "5", "", "must be an integer, not a string"),
        (int, True, "", "must be an integer, not a boolean"),
        (int, 1.0, "", "must be an integer, not a floating-point number"),
        (int, None, "", "must be an integer, not null"),
        (bool, "yes", "", "must be a boolean, not a string: send true or false"),
        (bool, 1, "", "must be a boolean, not an integer: send true or false"),
        (float, "1.5", "", "must be a number, not a string"),
        (str, 5, "", "must be a string, not an integer"),
        (None, 5, "", "must be null, not an integer"),
        (list[int], {}, "", "must be an array, not an object"),
        (dict[str, int], [], "", "must be an object, not an array"),
        (Order, "a", "", "must be an object, not a string"),
        (datetime, 5, "", "must be an ISO 8601 datetime, not an integer"),
        (timedelta, 5, "", "must be an ISO 8601 duration, not an integer"),
        (UUID, 5, "", "must be a UUID string, not an integer"),
        (Decimal, True, "", "must be a number or a string of digits, not a boolean"),
        (date, "x", "", "must be a valid date in the format YYYY-MM-DD, input is too short"),
        (Colour, "green", "", "must be 'red' or 'blue'; got \"green\""),
        (Literal["a"], "x" * 99, "", f"must be 'a'; got \"{'x' * 59}…"),
        (Annotated[int, Field(ge=1)], 0, "", "must be greater than or equal to 1; got 0"),
        (Annotated[str, Field(max_length=1)], "ab", "", "must have at most 1 character"),
        (Annotated[int, AfterValidator(even)], 1, "", "must be even; got 1"),
        (
            Annotated[int, AfterValidator(crash)],
            1,
            "",
            "cannot be checked: its type raised KeyError",
        ),
        (int | str, [], "", "must be an integer or a string, not an array"),
        (int | list[int], ["a"], "/0", "must be an integer, not a string"),
        (int | Item, {}, "/name", "is required"),
        (tuple[int, str], [1], "/1", "is required"),
        (tuple[int], [1, 2], "", "must have at most 1 item after validation, not 2"),
        (
            dict[str, list[int]],
            {"a~b/c": [1, "2"]},
            "/a~0b~1c/1",
            "must be an integer, not a string",
        ),
        (dict[int, str], {"a": "b"}, "/a", "its key must be a valid integer"),
        (Item, {"name": "a", "colour": "red"}, "/colour", "is not a known field"),
        (Order, {"items": [{"name": "a"}, {}]}, "/items/1/name", "is required"),
        (Order, {"items": [], "follows": {}}, "/follows/items", "is required"),
        (Box, {"size": "1"}, "/size", "must be an integer, not a string"),
        (Point, {}, "/x", "is required"),
        (Pair, {"left": 1, "right": 2, "z": 3}, "/z", "is not a known field"),
        (Pair, [1], "/1", "is required"),
        (str, "\ud800", "", "Invalid JSON"),
    ],
    ids=without_address,
)
def test_json_value_that_does_not_fit_its_hint_is_refused_at_its_pointer(
    hint, value, spot, detail
):
    [(pointer, code, said)] = errors_of(task_with_hint(hint), [value])

    assert (pointer, code) == (f"/args/0{spot}", "invalid_argument")
    assert said.startswith(detail)
    assert errors_of(task_with_hint(hint), kwargs={"x": value}) == [
        (f"/kwargs/x{spot}", code, said)
    ]


def test_every_mistake_inside_an_argument_is_reported():
    value = {"items": [{"name": 1, "weight": "a"}, {"weight": None, "colour": "red"}]}

    assert [pointer for pointer, _, _ in errors_of(task_with_hint(Order), [value])] == [
        "/args/0/items/0/name",
        "/args/0/items/0/weight",
        "/args/0/items/1/name",
        "/args/0/items/1/weight",
        "/args/0/items/1/colour",
    ]


def ordinary(x: int, be_careful: bool = False) -> None: ...
def positional_only(x: int, y: int = 0, /) -> None: ...
def keyword_only(*, x: int, y: int = 0) -> None: ...
def variadic(x: int, *rest: int, **more: str) -> None: ...
def shadowed(x: int, /, **more: str) -> None: ...
def nullable(x: int = None) -> None: ...  # noqa: RUF013 - the subject of a test
def nothing() -> None: ...
def unhinted(x, y=1) -> None: ...


@pytest.mark.parametrize(
    ("task", "args", "kwargs"),
    [
        (ordinary, [1], {}),
        (ordinary, [1, True], {}),
        (ordinary, [], {"be_careful": True, "x": 1}),
        (positional_only, [1, 2], {}),
        (keyword_only, [], {"x": 1}),
        (variadic, [1, 2, 3], {"a": "b"}),
        (variadic, [1], {"rest": "is just a name"}),
        (shadowed, [1], {"x": "of the others"}),
        (nullable, [None], {}),
        (nothing, [], {}),
        (unhinted, [{"any": "thing"}], {"y": [None]}),
    ],
)
def test_call_that_python_accepts_is_accepted(task, args, kwargs):
    assert errors_of(task, args, kwargs) == []


@pytest.mark.parametrize(
    ("task", "args", "kwargs", "error"),
    [
        (
            ordinary,
            [],
            {"be_careful": True},
            ("/kwargs/x", "missing_argument", '"x" is missing: give it in kwargs, or as args[0]'),
        ),
        (
            positional_only,
            [],
            {},
            ("/args/0", "missing_argument", '"x" is missing: give it as args[0]'),
        ),
        (
            keyword_only,
            [],
            {"y": 1},
            ("/kwargs/x", "missing_argument", '"x" is missing: give it in kwargs'),
        ),
        (
            ordinary,
            [1],
            {"x": 1},
            ("/kwargs/x", "duplicate_argument", "is given twice: args[0] is the same parameter"),
        ),
        (
            variadic,
            [1],
            {"x": 1},
            ("/kwargs/x", "duplicate_argument", "is given twice: args[0] is the same parameter"),
        ),
        (
            ordinary,
            [1, True, 3],
            {},
            ("/args/2", "unexpected_argument", "is one too many: the task takes 2 by position"),
        ),
        (
            ordinary,
            [1],
            {"be_carefull": True},
            (
                "/kwargs/be_carefull",
                "unexpected_argument",
                'is unknown: the task takes "x", "be_careful"; did you mean "be_careful"?',
            ),
        ),
        (
            ordinary,
            [1],
            {"~/": True},
            (
                "/kwargs/~0~1",
                "unexpected_argument",
                'is unknown: the task takes "x", "be_careful"',
            ),
        ),
        (
            nothing,
            [],
            {"x": 1},
            ("/kwargs/x", "unexpected_argument", "is unknown: the task takes nothing by name"),
        ),
        (
            positional_only,
            [1],
            {"y": 1},
            ("/kwargs/y", "unexpected_argument", "is taken by position only: give it as args[1]"),
        ),
        (
            variadic,
            [1, "2"],
            {},
            ("/args/1", "invalid_argument", "must be an integer, not a string"),
        ),
        (
            variadic,
            [1],
            {"a": 1},
            ("/kwargs/a", "invalid_argument", "must be a string, not an integer"),
        ),
    ],
)
def test_call_that_python_rejects_is_refused(task, args, kwargs, error):
    assert errors_of(task, args, kwargs) == [error]


def test_every_mistake_of_a_call_is_reported():
    errors = errors_of(keyword_only, [1, 2], {"y": "2", "z": 3})

    assert [(pointer, code) for pointer, code, _ in errors] == [
        ("/args/0", "unexpected_argument"),
        ("/args/1", "unexpected_argument"),
        ("/kwargs/y", "invalid_argument"),
        ("/kwargs/z", "unexpected_argument"),
        ("/kwargs/x", "missing_argument"),
    ]


def test_argument_error_is_a_frozen_value():
    error = ArgumentError(pointer="/args/0", code="invalid_argument", detail="must be even")

    assert error == ArgumentError(
        pointer="/args/0", code="invalid_argument", detail="must be even"
    )
    with pytest.raises(AttributeError):
        error.pointer = "/args/1"


def test_argument_nested_100_000_levels_deep_is_refused():
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]

    [(pointer, code, _)] = errors_of(task_with_hint(list[int]), [value])

    assert (pointer, code) == ("/args/0", "invalid_argument")


def test_check_of_a_typical_call_takes_less_than_50_microseconds_of_cpu():
    def task(x: int, name: str, be_careful: bool = False) -> None: ...

    signature = signature_of(task)
    rounds = []
    for _ in range(20):
        start = process_time()
        for _ in range(100):
            check_arguments(signature, [1], {"name": "report", "be_careful": True})
        rounds.append(process_time() - start)

    assert min(rounds) / 100 < 50e-6


NAMES = st.sampled_from(["x", "y", "z", "rest", "more", "be_careful", "a/b~c", "[key]", "int"])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["red", "2026-01-31", UUID_TEXT, "PT5M", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=3)
        | st.fixed_dictionaries({}, optional={"items": inner, "name": inner, "follows": inner})
    ),
    max_leaves=10,
)


def every_hint(
    order: Order,
    /,
    x: int | list[int] | dict[str, int],
    y: Literal["a"] | Colour | Point | None = None,
    *rest: dict[int, Box | Pair],
    z: datetime | UUID | timedelta | set[Decimal] = timedelta(0),
    **more: tuple[float, ...] | Item | Annotated[int, AfterValidator(crash)],
) -> None: ...


EVERY_HINT = signature_of(every_hint)


def resolves(pointer: str, document: Any) -> bool:
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        try:
            document = document[int(name) if isinstance(document, list) else name]
        except (IndexError, KeyError, TypeError):
            return False
    return True


@settings(max_examples=300)
@given(st.lists(JSON, max_size=4), st.dictionaries(NAMES, JSON, max_size=4))
def test_errors_for_any_json_point_into_the_call(args, kwargs):
    errors = check_arguments(EVERY_HINT, args, kwargs)

    for error in errors:
        missing = error.code == "missing_argument" or error.detail.startswith("is required")
        assert resolves(error.pointer, {"args": args, "kwargs": kwargs}) is not missing


@pytest.mark.parametrize(
    "task", [ordinary, positional_only, keyword_only, variadic, shadowed, nothing, unhinted]
)
@settings(max_examples=50)
@given(args=st.lists(JSON, max_size=3), kwargs=st.dictionaries(NAMES, JSON, max_size=3))
def test_binding_of_a_call_agrees_with_python(task, args, kwargs):
    try:
        inspect.signature(task).bind(*args, **kwargs)
        binds = True
    except TypeError:
        binds = False

    errors = check_arguments(signature_of(task), args, kwargs)

    assert binds is all(error.code == "invalid_argument" for error in errors)


@pytest.mark.parametrize(("hint", "value"), FITTING, ids=without_address)
@settings(max_examples=30)
@given(JSON)
def test_accepted_argument_is_valid_under_the_schema(hint, value, other):
    signature = signature_of(task_with_hint(hint))
    Draft202012Validator.check_schema(signature.schema)
    schema = Draft202012Validator(signature.schema)

    assert schema.is_valid({"x": value})
    assert schema.is_valid({"x": other}) or check_arguments(signature, [other], {})
