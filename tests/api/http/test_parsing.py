"""JSON bodies: accepted documents, and refusals before validation."""

import json

import pytest
from django.conf import settings

from scheduler_api.urls import router
from tests.api.http.responses import mistakes, refusal
from tests.api.schedules.bodies import (
    INTERVAL,
    INTERVALS,
    PERIODIC_TASKS,
    PREVIEW,
    no_schedules_are_stored,
)

MAX_BYTES = 256 * 1024
BODY = json.dumps(INTERVAL).encode()


def post(api, body: bytes, path=INTERVALS, content_type="application/json", **headers):
    return api.generic("POST", path, body, content_type=content_type, headers=headers)


def nested(levels: int) -> bytes:
    """Return a preview with nested arrays, of this total depth."""
    return b'{"schedule":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        b"\xef\xbb\xbf" + BODY,
        b" \t\r\n" + BODY + b"\n",
        b'{"every": 5, "period": "\\u006dinutes"}',
        BODY + b" " * (MAX_BYTES - len(BODY)),
    ],
    ids=["plain", "byte order mark", "white space", "escapes", "256 KiB"],
)
def test_json_object_is_read(api, body):
    response = post(api, body)

    assert response.status_code == 201
    assert response.json().items() >= INTERVAL.items()


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 3 * 1024 * 1024, 20 * 1024 * 1024])
def test_body_of_more_than_256_kib_is_refused(api, size):
    response = post(api, BODY + b" " * (size - len(BODY)))

    assert refusal(response) == (413, "body_too_large")
    assert "262144 bytes" in response.json()["detail"]
    assert no_schedules_are_stored()


def test_django_limit_covers_the_largest_view_limit():
    views = [view for _, view, _ in router.registry]

    assert max(view.max_body_bytes for view in views) <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{", "not valid JSON: Expecting property name"),
        (b"{'every': 5}", "not valid JSON: Expecting property name"),
        (b'{"every": 5,}', "not valid JSON"),
        (b'{"every": 5} {"every": 6}', "not valid JSON: Extra data at line 1, column 14"),
        (b'{"every": 5} // five', "not valid JSON: Extra data"),
        (b'{"every": 05}', "not valid JSON"),
        (b'{"every": +5}', "not valid JSON"),
        (b'{"every": .5}', "not valid JSON"),
        (b'{"period": "a\nb"}', "not valid JSON: Invalid control character"),
        (b'{"period": "\\x41"}', "not valid JSON: Invalid"),
        (b"nul", "not valid JSON: Expecting value at line 1, column 1"),
        (b" ", "not valid JSON: Expecting value"),
        (b"every=5&period=days", "not valid JSON: Expecting value"),
        (b'{"every": NaN}', "NaN is no JSON value"),
        (b'{"every": Infinity}', "Infinity is no JSON value"),
        (b'{"every": -Infinity}', "-Infinity is no JSON value"),
        (b'{"every": 1e999}', "The number 1e999 is too large"),
        (b'{"every": -1e999}', "The number -1e999 is too large"),
        (b'{"every": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"every": -' + b"9" * 200_000 + b"}", "too many digits"),
        (b'{"every": ' + b"9" * 5000 + b".5}", "is too large"),
        (b'{"period": "\xff"}', "not valid UTF-8 at byte 12"),
        (b'{"period": "\xed\xa0\x80"}', "not valid UTF-8"),
        (json.dumps(INTERVAL).encode("utf-16"), "not valid UTF-8"),
        (json.dumps(INTERVAL).encode("utf-32-le"), "not valid JSON"),
        (b"[" * 3000 + b"]" * 3000, "more than 32 levels"),
        (b"[" * 250_000, "more than 32 levels"),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "more than 32 levels"),
    ],
    ids=range(28),
)
def test_body_that_is_not_json_is_refused_with_the_reason(api, body, detail):
    response = post(api, body)

    assert refusal(response) == (400, "malformed_body")
    assert detail in response.json()["detail"]
    assert no_schedules_are_stored()


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "body",
    [b'"\\' * 120_000, b'"' * 250_000, b'{"a' * 80_000, b"]" * 250_000, b'"' + b"\\" * 250_000],
)
def test_hostile_body_is_refused_quickly(api, body):
    assert refusal(post(api, body)) == (400, "malformed_body")


@pytest.mark.timeout(10)
def test_thousands_of_unknown_fields_are_refused_quickly(api):
    response = post(api, json.dumps({f"field{number}": 1 for number in range(14_000)}).encode())

    assert refusal(response) == (400, "validation_failed")
    assert len(response.json()["errors"]) == 100
    assert response.json()["detail"].endswith("(and at least 100 more)")


@pytest.mark.parametrize(
    ("levels", "answer"), [(32, (400, "validation_failed")), (33, (400, "malformed_body"))]
)
def test_body_of_32_levels_is_read(api, levels, answer):
    assert refusal(post(api, nested(levels), PREVIEW)) == answer


@pytest.mark.parametrize(
    "text", ["[" * 50, "]" * 50 + "[" * 50, '\\"' + "{" * 50, '\\\\\\"[[' * 30]
)
def test_brackets_inside_strings_do_not_count_as_levels(api, text):
    response = post(api, b'{"every": 5, "period": "' + text.encode() + b'"}')

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [("/period", "invalid_choice")]


@pytest.mark.parametrize(
    ("path", "body", "pointers"),
    [
        (INTERVALS, b'{"every": 5, "every": 6, "period": "days"}', [""]),
        (INTERVALS, b'{"every": 5, "\\u0065very": 5, "period": "days"}', [""]),
        (PREVIEW, b'{"schedule": {"type": "crontab", "type": "crontab"}}', ["/schedule"]),
        (PERIODIC_TASKS, b'{"args": [1, {"a": 1, "a": 1}]}', ["/args/1"]),
        (PERIODIC_TASKS, b'{"kwargs": {"a/b~": {"": {"x": 1, "x": 2}}}}', ["/kwargs/a~1b~0/"]),
        (PERIODIC_TASKS, b'{"a": {"x": 1, "x": 2}, "b": {"y": 1, "y": 2}}', ["/a", "/b"]),
    ],
)
def test_duplicate_key_is_refused_with_its_pointer(api, path, body, pointers):
    response = post(api, body, path)

    assert refusal(response) == (400, "malformed_body")
    assert mistakes(response) == [(pointer, "duplicate_key") for pointer in pointers]
    assert no_schedules_are_stored()


@pytest.mark.both_databases
@pytest.mark.parametrize("character", [r"\u0000", r"\ud800", r"\udfff", r"\ude00\ud83d"])
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"every": 5, "period": "days$"}', "/period"),
        ('{"every": 5, "period": "days", "$": 1}', ""),
        ('{"schedule": {"type": "crontab", "minute": "$"}}', "/schedule/minute"),
        ('{"schedule": {"x$y": "crontab"}}', "/schedule"),
        ('{"args": [[], ["a$b"]]}', "/args/1/0"),
        ('"$"', ""),
    ],
)
def test_unstorable_character_is_refused_with_its_pointer(api, character, body, pointer):
    response = post(api, body.replace("$", character).encode())

    assert refusal(response) == (400, "malformed_body")
    assert mistakes(response) == [(pointer, "unstorable_character")]
    assert no_schedules_are_stored()


@pytest.mark.both_databases
def test_surrogate_pair_is_one_character(api):
    response = post(api, rb'{"every": 5, "period": "\ud83d\ude00"}')

    assert mistakes(response) == [("/period", "invalid_choice")]


@pytest.mark.parametrize("body", [b"[]", b'[{"every": 5}]', b'"x"', b"5", b"1.5", b"true"])
@pytest.mark.parametrize("path", [INTERVALS, PREVIEW, PERIODIC_TASKS])
def test_body_that_is_not_an_object_is_refused(api, path, body):
    response = post(api, body, path)

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [("", "invalid")]
    assert response.json()["detail"] == "The body: Must be a JSON object."


@pytest.mark.parametrize("path", [INTERVALS, PREVIEW, PERIODIC_TASKS])
def test_body_of_null_is_refused(api, path):
    response = post(api, b"null", path)

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [("", "null")]


def test_empty_body_lacks_required_fields(api):
    response = post(api, b"")

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [("/every", "required"), ("/period", "required")]


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_media_type_with_parameters_is_accepted(api, content_type):
    assert post(api, BODY, content_type=content_type).status_code == 201


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/merge-patch+json",
        "json",
    ],
)
def test_unsupported_media_type_is_refused(api, method, content_type):
    created = post(api, BODY).json()
    address = INTERVALS if method == "POST" else f"{INTERVALS}{created['id']}/"

    response = api.generic(method, address, b'{"every": 7}', content_type=content_type)

    assert refusal(response) == (415, "unsupported_media_type")
    assert "application/json" in response.json()["detail"]
    assert api.get(INTERVALS).json()["results"] == [created]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("coding", ["chunked", "Chunked", "gzip, chunked"])
def test_chunked_body_is_refused(api, method, coding):
    created = post(api, BODY).json()
    address = INTERVALS if method == "POST" else f"{INTERVALS}{created['id']}/"

    response = api.generic(
        method,
        address,
        b"",
        content_type="application/json",
        headers={"Transfer-Encoding": coding},
    )

    assert refusal(response) == (411, "length_required")
    assert "Content-Length" in response.json()["detail"]
    assert api.get(INTERVALS).json()["results"] == [created]
