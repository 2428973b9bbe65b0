"""Every refusal is a problem (RFC 9457), and its code never changes."""

import logging

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError
from rest_framework.response import Response
from rest_framework.test import APIClient

from scheduler_api.schedules import actions
from scheduler_api.schedules.views import IntervalScheduleViewSet
from tests.api.http.responses import mistakes, refusal
from tests.api.schedules.bodies import (
    INTERVAL,
    INTERVALS,
    PREVIEW,
    SOLAR,
    SOLARS,
    create_tasks_with,
    no_schedules_are_stored,
)
from tests.client import ContractClient

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def send(api, method: str, path: str, body: object = None, **headers: str) -> Response:
    return api.generic(method, path, "" if body is None else body,
                       content_type="application/json", headers=headers)  # fmt: skip


def fails_with(monkeypatch, error: Exception) -> None:
    """Make each view of interval schedules raise an exception."""

    def fail(view):
        raise error

    monkeypatch.setattr(IntervalScheduleViewSet, "get_queryset", fail)


def with_the_key_of(api: ContractClient) -> APIClient:
    """A client for requests that openapi.yaml does not describe, such as HEAD."""
    client = APIClient()
    client.credentials(**api._credentials)
    return client


@pytest.fixture(params=[False, True], ids=["debug off", "debug on"])
def debug_on_and_off(request, settings):
    settings.DEBUG = request.param


def test_problem_has_all_members(api):
    response = api.post(INTERVALS, {"every": 0, "period": "days", "x": 1})

    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json() == {
        "type": "urn:scheduler-api:problem:validation_failed",
        "title": "Some values in the body are invalid.",
        "status": 400,
        "detail": (
            "/every: Ensure this value is greater than or equal to 1. (and 1 more)"
        ),
        "instance": INTERVALS,
        "code": "validation_failed",
        "request_id": response.headers["X-Request-Id"],
        "errors": [
            {
                "pointer": "/every",
                "code": "min_value",
                "detail": "Ensure this value is greater than or equal to 1.",
            },
            {
                "pointer": "/x",
                "code": "unknown_field",
                "detail": (
                    "There is no field 'x'; known: description, every, id, period, revision, "
                    "type, used_by, used_by_count."
                ),
            },
        ],
    }  # fmt: skip


def test_problem_lists_at_most_a_hundred_mistakes(api):
    response = api.post(INTERVALS, {**INTERVAL, **{f"x{number}": 1 for number in range(150)}})

    assert len(response.json()["errors"]) == 100
    assert response.json()["detail"].endswith("(and at least 100 more)")


# --- 404 ------------------------------------------------------------------------------------


@pytest.mark.both_databases
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("pk", ["0", "999", "9" * 18, "9" * 30, "9" * 5000, "abc", "-1", "1.0"])
def test_unknown_id_is_not_found(api, method, pk):
    response = send(api, method, f"{INTERVALS}{pk}/", '{"every": 5, "period": "days"}')

    assert refusal(response) == (404, "not_found")
    assert response.json()["instance"] == f"{INTERVALS}{pk}/"


@pytest.mark.usefixtures("debug_on_and_off")
@pytest.mark.parametrize("method", [*METHODS, "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/v1/nothing/",
        "/api/v1/schedules/",
        "/api/v2/interval-schedules/",
        f"{INTERVALS}1/nothing/",
        "/api/v1//interval-schedules/",
        "/api/v1/interval-schedules/%FF/",
    ],
)
def test_unknown_path_under_the_api_is_not_found(api, method, path):
    assert refusal(send(api, method, path)) == (404, "not_found")


def test_unknown_path_outside_the_api_is_a_problem(api):
    assert refusal(api.get("/nothing/")) == (404, "not_found")


# --- 405 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (INTERVALS, {"GET", "HEAD", "POST"}),
        (f"{INTERVALS}1/", {"GET", "HEAD", "PUT", "PATCH", "DELETE"}),
        (f"{INTERVALS}1/upcoming/", {"GET", "HEAD"}),
        (PREVIEW, {"POST"}),
    ],
)
def test_unsupported_method_is_refused_with_the_allowed_methods(api, path, allowed):
    for method in {*METHODS, "OPTIONS", "TRACE"} - allowed:
        response = send(api, method, path)

        assert refusal(response) == (405, "method_not_allowed")
        assert set(response.headers["Allow"].split(", ")) == allowed
        assert method in response.json()["detail"]


def test_unsupported_method_is_refused_before_its_query(api):
    response = send(api, "TRACE", f"{INTERVALS}1/upcoming/?count=10")

    assert refusal(response) == (405, "method_not_allowed")


@pytest.mark.parametrize("path", [INTERVALS, "/healthz"])
def test_head_responds_like_get_without_a_body(api, path):
    api = with_the_key_of(api)

    head, get = api.head(path), api.get(path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


# --- 406, 409 -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "accept",
    ["*/*", "application/json", "application/*", "text/html, application/json;q=0.5"],
)
def test_json_is_returned_if_accepted(api, accept):
    assert send(api, "GET", INTERVALS, Accept=accept).status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/*, text/plain"])
def test_accept_without_json_is_refused_with_a_problem(api, accept):
    assert refusal(send(api, "GET", INTERVALS, Accept=accept)) == (406, "not_acceptable")
    response = send(api, "POST", INTERVALS, '{"every": 5, "period": "days"}', Accept=accept)

    assert refusal(response) == (406, "not_acceptable")
    assert "application/json" in response.json()["detail"]
    assert no_schedules_are_stored()


def test_conflict_has_its_own_code(api):
    created = api.post(SOLARS, SOLAR).json()
    create_tasks_with("solar", created["id"], ["a"])

    assert refusal(api.post(SOLARS, SOLAR)) == (409, "schedule_exists")
    assert refusal(api.delete(f"{SOLARS}{created['id']}/")) == (409, "schedule_in_use")


@pytest.mark.both_databases
def test_integrity_error_is_a_conflict(api, monkeypatch):
    def fail(row, **_):
        raise IntegrityError("UNIQUE constraint failed: secret")

    monkeypatch.setattr(actions, "store", fail)

    response = api.post(INTERVALS, INTERVAL)

    assert refusal(response) == (409, "conflict")
    assert b"secret" not in response.content


# --- 500, 503 -------------------------------------------------------------------------------


@pytest.mark.usefixtures("debug_on_and_off")
@pytest.mark.parametrize("error", [RuntimeError("secret"), KeyError("secret"), OSError("secret")])
def test_server_error_is_logged_and_not_disclosed(api, monkeypatch, caplog, error):
    api.raise_request_exception = False
    fails_with(monkeypatch, error)

    with caplog.at_level(logging.ERROR):
        response = api.get(INTERVALS)

    assert refusal(response) == (500, "server_error")
    assert b"secret" not in response.content
    assert (
        response.json()["detail"]
        == "The server failed to handle the request. Nothing was changed."
    )
    [record] = [record for record in caplog.records if record.name.startswith("scheduler_api")]
    assert record.getMessage() == f"GET {INTERVALS} failed"
    assert record.exc_info[1] is error


@pytest.mark.both_databases
def test_server_error_is_rolled_back(api, monkeypatch):
    def store_and_fail(row):
        row.save()
        raise RuntimeError("secret")

    created = api.post(INTERVALS, INTERVAL).json()
    api.raise_request_exception = False
    monkeypatch.setattr(actions, "store", store_and_fail)

    response = api.patch(f"{INTERVALS}{created['id']}/", {"every": 7})

    assert refusal(response) == (500, "server_error")
    assert api.get(f"{INTERVALS}{created['id']}/").json() == created


def test_server_error_outside_the_api_is_a_problem(api, monkeypatch, caplog):
    def fail():
        raise RuntimeError("secret")

    api.raise_request_exception = False
    monkeypatch.setattr("scheduler_api.ops.views.database_answers", fail)

    response = api.get("/readyz")

    assert refusal(response) == (500, "server_error")
    assert b"secret" not in response.content
    assert "secret" in caplog.text


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "error",
    [
        OperationalError("server closed the connection: secret"),
        InterfaceError("connection already closed: secret"),
    ],
)
def test_unavailable_database_is_503_with_retry_after(api, monkeypatch, caplog, error):
    fails_with(monkeypatch, error)

    for method, path in (("GET", INTERVALS), ("DELETE", f"{INTERVALS}1/")):
        response = send(api, method, path)

        assert refusal(response) == (503, "unavailable")
        assert response.headers["Retry-After"] == "5"
        assert b"secret" not in response.content
    assert "secret" in caplog.text


# --- Host -----------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "a b", "testserver.evil"])
@pytest.mark.parametrize("path", [INTERVALS, "/healthz", "/nothing/"])
def test_disallowed_host_is_refused(api, host, path):
    response = send(api, "GET", path, Host=host)

    assert refusal(response) == (400, "bad_request")
    assert "ALLOWED_HOSTS" in response.json()["detail"]


# --- Codes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "answer"),
    [
        ("GET", f"{INTERVALS}?x=1", None, (400, "invalid_query")),
        ("POST", INTERVALS, "{", (400, "malformed_body")),
        ("POST", INTERVALS, "{}", (400, "validation_failed")),
        ("GET", f"{INTERVALS}999/", None, (404, "not_found")),
        ("DELETE", INTERVALS, None, (405, "method_not_allowed")),
        ("POST", INTERVALS, " " * 300_000, (413, "body_too_large")),
    ],
)
def test_problem_codes_never_change(api, method, path, body, answer):
    assert refusal(send(api, method, path, body)) == answer


def test_invalid_query_is_refused_before_the_body_is_read(api):
    response = send(api, "POST", f"{INTERVALS}?x=1", "{")

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [("x", "unknown_parameter")]
