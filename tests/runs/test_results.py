"""What the ledger keeps of a result or an error."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from scheduler_api.runs.results import MAX_CHARACTERS, error_columns, result_columns

NUMBER = UUID("0b0f6a0e-6a5c-5d5e-9a3b-0d9f5b8f7c11")


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        ([1, "two", {"three": 3.5}], [1, "two", {"three": 3.5}]),
        (datetime(2027, 6, 1, 12, tzinfo=UTC), "2027-06-01T12:00:00Z"),
        ({"id": NUMBER, "price": Decimal("1.10")}, {"id": str(NUMBER), "price": "1.10"}),
        ({"password": "hush"}, {"password": "***"}),
        ({1, 2}, "{1, 2}"),
        (float("nan"), "nan"),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        ("half a pair \ud800, and \0", "half a pair \ud800, and \0"),
    ],
)
def test_result_is_json_or_else_text(value, stored):
    columns = result_columns(value)

    assert json.loads(columns["result"]) == stored
    assert columns["is_result_truncated"] is False


def test_result_that_contains_itself_is_text():
    value: list = []
    value.append(value)

    assert json.loads(result_columns(value)["result"]).startswith("[")


def test_long_result_is_the_text_of_its_beginning():
    columns = result_columns(["x" * MAX_CHARACTERS])

    assert columns["is_result_truncated"] is True
    assert json.loads(columns["result"]) == f'["{"x" * (MAX_CHARACTERS - 2)}'


def test_secrets_of_arguments_are_hidden_in_results_and_errors():
    arguments = ((), {"deep": [{"api_key": 'with "quotes"'}], "password": "abc"})

    result = result_columns('got with "quotes", abc', arguments=arguments)

    # Three letters are in many a word.
    assert json.loads(result["result"]) == "got ***, abc"
    error = error_columns(ValueError('with "quotes"'), 'raise: with "quotes"', arguments=arguments)
    assert error == {
        "error_type": "ValueError",
        "error_message": "***",
        "traceback": "raise: ***",
    }


def test_error_is_text_that_postgresql_can_store():
    long = "a" * MAX_CHARACTERS

    error = error_columns(ValueError(f"\0 \ud800 {long}"), f"{long} the end")

    assert error["error_message"].startswith("\\x00 \\ud800 aaa")
    assert error["error_message"].endswith(" …")
    assert error["traceback"].startswith("… aaa")
    assert error["traceback"].endswith("the end")
