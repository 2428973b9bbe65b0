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
        ("half a pair \ud800, and \0", "half a pair \\ud800, and \0"),
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


@pytest.mark.parametrize(
    "secret", ["1234", "null", "true", '", "', '{"a":', "a\\b\n", "'quoted'", "ä" * 4]
)
def test_result_stays_json_whatever_the_secret_is(secret):
    value = {"n": 12345, "none": None, "yes": True, "text": [f"<{secret}>"], "p": f"{secret}!"}

    columns = result_columns(value, arguments=([], {"password": secret}))

    assert json.loads(columns["result"]) == {
        "n": 12345, "none": None, "yes": True, "text": ["<***>"], "p": "***!"
    }  # fmt: skip


def test_secrets_within_an_object_with_a_secret_name_are_hidden():
    arguments = ({"credentials": {"user": "ann-smith", "keys": ["first-key"]}},)

    result = result_columns({"first-key": "by ann-smith"}, arguments=arguments)

    assert json.loads(result["result"]) == {"***": "by ***"}


def test_passwords_of_urls_are_hidden_in_results_and_errors():
    url, shown = "amqp://ann:hush@mq/", "amqp://ann:***@mq/"

    result = result_columns({"at": [url], "other": {1, 2}})
    assert json.loads(result["result"]) == f"{{'at': ['{shown}'], 'other': {{1, 2}}}}"
    assert json.loads(result_columns([url])["result"]) == [shown]
    error = error_columns(ValueError(f"no route to {url}"), f"line\nValueError: {url}")
    assert error["error_message"] == f"no route to {shown}"
    assert error["traceback"] == f"line\nValueError: {shown}"


def test_secrets_of_a_result_that_is_not_json_are_hidden():
    value = {(1, 2): {"password": "hush"}}

    assert json.loads(result_columns(value)["result"]) == "{(1, 2): {'password': '***'}}"


def test_error_is_text_that_postgresql_can_store():
    long = "a" * MAX_CHARACTERS

    error = error_columns(ValueError(f"\0 \ud800 {long}"), f"{long} the end")

    assert error["error_message"].startswith("\\x00 \\ud800 aaa")
    assert error["error_message"].endswith(" …")
    assert error["traceback"].startswith("… aaa")
    assert error["traceback"].endswith("the end")
