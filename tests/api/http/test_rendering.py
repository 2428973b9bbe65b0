"""JSON responses: the same output as REST framework's renderer."""

import json

import pytest
from django.utils.translation import gettext_lazy
from rest_framework import renderers
from rest_framework.exceptions import ErrorDetail
from rest_framework.utils.serializer_helpers import ReturnDict, ReturnList

from scheduler_api.http.rendering import JSONRenderer


def nested(levels):
    document = []
    for _ in range(levels):
        document = [document]
    return document


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        [],
        "",
        0,
        {"name": "Añadir", "sign": "€", "clef": "𝄞", "quote": '"\\/\b\f\n\r\t\x00\x7f<>&'},
        [True, False, None, -1, 2**31, 2**63, -(2**64), 10**400],
        [0.0, -0.0, 52.52, 1.0, 1e15, 123456789.123],
        ReturnList([ReturnDict({"id": 1}, serializer=None)], serializer=None),
        ErrorDetail("Must be a string.", "invalid"),
        {"detail": gettext_lazy("Not found.")},
        (1, 2),
        {1: "one"},
        nested(300),
    ],
)
def test_document_is_rendered_to_the_byte_as_by_rest_framework(document):
    assert JSONRenderer().render(document) == renderers.JSONRenderer().render(document)


@pytest.mark.parametrize("number", [1e16, 1e-7, 1.5e300, 5e-324])
def test_large_and_small_numbers_are_rendered_exactly(number):
    assert json.loads(JSONRenderer().render([number])) == [number]


def test_line_separator_is_not_escaped():
    assert JSONRenderer().render("\u2028") == '"\u2028"'.encode()


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_nan_and_infinity_are_rendered_as_null(number):
    assert JSONRenderer().render([float(number)]) == b"[null]"


def test_accept_with_indent_gets_an_indent(api):
    response = api.get("/api/v1/", headers={"Accept": "application/json; indent=2"})

    assert response.content.startswith(b'{\n  "')


@pytest.mark.parametrize(
    ("agent", "has_lines"),
    [
        ("curl/8.5.0", True),
        ("Wget/1.21", True),
        ("HTTPie/3.2", True),
        ("python-requests/2.32", False),
        ("my-curl/1", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/", "/api/v1/nothing/", "/healthz", "/readyz"])
def test_response_for_people_has_lines(api, agent, has_lines, path):
    response = api.get(path, headers={"User-Agent": agent})

    assert (b'{\n  "' in response.content) is has_lines
    assert response.content.endswith(b"}\n") is has_lines
    assert json.loads(response.content)


def test_response_for_people_is_replayed_as_it_was(api):
    headers = {"User-Agent": "curl/8.5.0", "Idempotency-Key": "once"}
    body = {"every": 5, "period": "minutes"}

    first = api.post("/api/v1/interval-schedules/", body, headers=headers)
    again = api.post("/api/v1/interval-schedules/", body, headers=headers)

    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.content == first.content
