"""Whatever a task returns or raises is stored, read over the API, and sent to webhooks."""

import json
import os
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from celery.app import trace
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler_api.runs.events import RunEvent
from scheduler_api.runs.models import Run
from scheduler_api.runs.results import MAX_CHARACTERS
from scheduler_api.webhooks.payloads import payload_of, run_data
from tests.api.runs.examples import NOON, address
from tests.worker.runs import run, stored_run

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _results_are_not_logged(monkeypatch: Any) -> None:
    """Keep half surrogates out of the log, which xdist cannot pass on between processes."""
    monkeypatch.setattr(trace.logger, "disabled", True)


class Hostile:
    """An object whose methods raise."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def _raise(self, *_: object) -> Any:
        raise self._error

    __str__ = __repr__ = __reduce__ = __reduce_ex__ = __json__ = __hash__ = _raise


class HostileKey(Hostile):
    def __hash__(self) -> int:
        return 1


class HostileDict(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no items")


class Point(NamedTuple):
    x: int
    password: str


class Colour(Enum):
    RED = "red"


def cycle() -> dict[str, Any]:
    value: dict[str, Any] = {"password": "hush-hush"}
    value["self"] = value
    return value


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


RESULTS: dict[str, tuple[Any, Any]] = {
    "nothing": (None, None),
    "half a surrogate": ("\ud800", r"\ud800"),
    "half a surrogate inside": ({"\udfff": ["a\\\ud83d"]}, {r"\udfff": [r"a\\ud83d"]}),
    "an emoji": ("\U0001f600", "\U0001f600"),
    "a backslash before a u": (r"\ud800 \\ud800", r"\ud800 \\ud800"),
    "NUL": ({"a\0": "\0"}, {"a\0": "\0"}),
    "NaN": (float("nan"), "nan"),
    "infinity inside": ([float("inf"), 1], "[inf, 1]"),
    "a huge number": (10**4000, 10**4000),
    "bytes": (b"\xff\0", "b'ff00'"),
    "a set": ({1}, "{1}"),
    "times": (
        [NOON, date(2027, 6, 1), timedelta(days=1)],
        ["2027-06-01T12:00:00Z", "2027-06-01", "P1DT00H00M00S"],
    ),
    "a decimal": (Decimal("NaN"), "NaN"),
    "a UUID": (UUID(int=1), str(UUID(int=1))),
    "numbers as names": ({1: "a", None: "b", False: "c"}, {"1": "a", "null": "b", "false": "c"}),
    "a tuple as a name": ({(1,): 2}, "{(1,): 2}"),
    "a named tuple": (Point(1, "hush-hush"), [1, "hush-hush"]),
    "a class": (Colour, f"<enum {Colour.__name__!r}>"),
    "a result within the depth": (nested(90), nested(90)),
    "a result that is too deep": (nested(150), json.dumps(nested(150))),
    "a very deep result": (nested(100_000), "[[[[...]]]]"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_result_is_stored_and_read(deliver, body, api, name):
    value, read = RESULTS[name]
    body.does = lambda task: value

    assert deliver(run()) == "SUCCESS"

    assert read_over(api)["result"] == read
    assert (stored_run().state, stored_run().is_result_truncated) == ("succeeded", False)


def read_over(api: Any) -> dict[str, Any]:
    """Return the stored run as the API does, after making its webhook message."""
    stored = stored_run()
    payload_of(RunEvent.Kind.FAILED, run_data(stored), at=NOON).encode("ascii")
    response = api.get(address(stored))
    assert response.status_code == 200, response.content
    stored.result.encode("ascii")
    return dict(json.loads(response.content.decode()))


@pytest.mark.parametrize(
    "value",
    [
        Hostile(RuntimeError("no text")),
        [Hostile(ValueError("\ud800"))],
        {"inner": Hostile(RecursionError("deep"))},
        HostileDict(a=1),
        object(),
        lambda: None,
        datetime,
        {HostileKey(RuntimeError("no name")): 1},
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.filterwarnings("ignore:Exception raised outside body")
def test_result_with_methods_that_raise_is_text(deliver, body, api, value):
    body.does = lambda task: value

    deliver(run())

    assert stored_run().state in {"succeeded", "failed"}  # Celery itself reads it for its log
    read_over(api)


def test_text_of_a_result_hides_its_secrets(deliver, body, api):
    body.does = lambda task: cycle()

    deliver(run())

    assert "'password': '***'" in read_over(api)["result"]


@pytest.mark.parametrize("value", ["x" * 10**7, ["x" * 10**6] * 3, {"a": "\ud800" * 10**5}])
def test_enormous_result_is_the_text_of_its_beginning(deliver, body, api, value):
    body.does = lambda task: value

    deliver(run())

    read = read_over(api)
    assert read["is_result_truncated"] is True
    assert len(read["result"]) == MAX_CHARACTERS


@pytest.mark.parametrize(
    "stored",
    [r'"\ud800"', "[" * 5000 + "]" * 5000, "1" * 5000, "not JSON", r'["\udc00", "\ud83d\ude00"]'],
    ids=lambda text: text[:20],
)
def test_result_stored_by_an_earlier_version_is_read(api, stored):
    run(state="succeeded", result=stored)

    read_over_old = api.get(address(stored_run()))

    assert read_over_old.status_code == 200


# --- Exceptions -------------------------------------------------------------------------------


class Unpicklable(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("it stays here")


class UnpicklableValue(ValueError):
    """Celery sends its nearest base class in its place."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> Any:
        raise TypeError("it stays here")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class NotText(Exception):
    def __str__(self) -> Any:
        return 42  # noqa: PLE0307 - on purpose


class Odd(Exception):
    __qualname__ = "Odd\0\ud800" + "x" * 300


def local_exception() -> Exception:
    class Local(Exception):
        pass

    return Local("of a function")


ERRORS: dict[str, tuple[Callable[[], BaseException], str, str]] = {
    "an ordinary one": (lambda: ValueError("wrong"), "ValueError", "wrong"),
    "one that cannot be pickled": (lambda: Unpicklable("stays"), "Unpicklable", "stays"),
    "one with a picklable base": (
        lambda: UnpicklableValue("stays", code=1),
        "UnpicklableValue",
        "stays",
    ),
    "one of a function": (
        local_exception,
        "local_exception.<locals>.Local",
        "of a function",
    ),
    "one without a text": (Mute, "Mute", "<Mute: reading it raised RuntimeError>"),
    "one whose text is a number": (
        NotText,
        "NotText",
        "<NotText: reading it raised TypeError>",
    ),
    "one with an odd name": (Odd, "Odd\\x00\\ud800", ""),
    "NUL and half a surrogate": (lambda: KeyError("\0\ud800"), "KeyError", r"'\x00\ud800'"),
    "arguments that cannot be pickled": (
        lambda: ValueError(lambda: None),
        "ValueError",
        "<function",
    ),
    "a group": (
        lambda: ExceptionGroup("several", [ValueError("one"), Unpicklable("two")]),
        "ExceptionGroup",
        "several (2 sub-exceptions)",
    ),
    "no memory": (lambda: MemoryError("full"), "MemoryError", "full"),
    "too deep": (lambda: RecursionError("deep"), "RecursionError", "deep"),
    "an enormous text": (lambda: ValueError("x" * 10**6), "ValueError", "xxx"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_exception_is_stored_and_read_with_its_class(deliver, body, api, name):
    make, error_type, message = ERRORS[name]

    def fail(task: Any) -> None:
        raise make()

    body.does = fail
    assert deliver(run()) == "FAILURE"

    error = read_over(api)["error"]
    assert stored_run().state == "failed"
    assert error["type"].startswith(error_type)
    assert error["message"].startswith(message)
    assert "in fail" in error["traceback"]
    last_line = error["traceback"].splitlines()[-1]
    assert "Wrapper" not in last_line


@pytest.mark.parametrize("name", ERRORS)
def test_retry_for_any_exception_is_recorded(deliver, body, api, monkeypatch, name):
    make, error_type, _ = ERRORS[name]

    def throw(error: BaseException) -> None:
        raise error

    def fail(task: Any) -> None:
        monkeypatch.setattr(type(task), "apply_async", lambda *_, **__: None)
        try:
            throw(make())
        except Exception as error:
            raise task.retry(exc=error, countdown=60) from error

    body.does = fail
    assert deliver(run()) == "RETRY"

    waiting = read_over(api)
    assert waiting["state"] == "queued"
    assert waiting["reason"].startswith(f"Waiting for a retry: {error_type}")


# --- At random --------------------------------------------------------------------------------

text = st.text(alphabet=st.characters(exclude_categories=()), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.binary(max_size=8)
    | text
    | st.datetimes()
    | st.timedeltas()
    | st.uuids()
    | st.complex_numbers()
    | st.builds(lambda: Hostile(RuntimeError("\ud800")))
)
names = st.none() | st.booleans() | st.integers() | text | st.binary(max_size=2)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(names, inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)
# An example takes half a second: each delivers a message. `make fuzz` tries more.
EXAMPLES = 150 if "FUZZ_SEED" in os.environ else 25
at_random = settings(
    max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@at_random
@given(value=values)
def test_any_result_is_stored_and_read(deliver, body, api, value):
    Run.objects.all().delete()
    body.does = lambda task: value

    deliver(run())

    assert stored_run().state in {"succeeded", "failed"}
    read_over(api)


@at_random
@given(arguments=st.lists(values, max_size=2), name=text)
def test_any_exception_is_stored_and_read(deliver, body, api, arguments, name):
    Run.objects.all().delete()

    def fail(task: Any) -> None:
        raised = type("Any", (ValueError,), {"__qualname__": f"Any{name}"})
        raise raised(*arguments)

    body.does = fail
    deliver(run())

    assert stored_run().state == "failed"
    assert read_over(api)["error"]["type"].startswith("Any")
