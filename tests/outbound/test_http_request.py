"""The task `scheduler_api.tasks.http_request`, for services without Celery."""

import json
import threading
from ipaddress import ip_network
from typing import Any

import pytest

from scheduler_api.outbound import address_guard
from scheduler_api.outbound.http_request import (
    MAX_RESPONSE_BYTES,
    NoResponse,
    RequestNotAllowed,
    UnexpectedStatus,
)
from scheduler_api.tasks import http_request
from tests.api.http.responses import mistakes, refusal
from tests.api.periodic_tasks.examples import TASKS, heartbeat
from tests.webhooks.receiver import Receiver

TASK = "scheduler_api.tasks.http_request"


@pytest.fixture(autouse=True)
def _loopback_may_be_called(settings):
    settings.OUTGOING_PRIVATE_ADDRESSES = [ip_network("127.0.0.0/8")]
    settings.HTTP_REQUEST_HOSTS = ["127.0.0.1", "api.example.com", "*.internal.example"]


@pytest.fixture
def receiver():
    with Receiver(answers=[200], body=b'{"ok": true}') as receiver:
        yield receiver


# --- Requests ---------------------------------------------------------------------------------


def test_task_posts_json_and_returns_the_response(receiver):
    result = http_request(receiver.url, body={"month": "2027-03"})

    [request] = receiver.received
    assert (request.method, request.json) == ("POST", {"month": "2027-03"})
    assert request.headers["content-type"] == "application/json"
    assert {**result, "duration_seconds": 0} == {
        "status": 200,
        "body": '{"ok": true}',
        "is_body_truncated": False,
        "duration_seconds": 0,
    }
    assert 0 <= result["duration_seconds"] < 10


def test_method_headers_and_text_body_are_sent_unchanged(receiver):
    http_request(
        receiver.url,
        "PUT",
        {"X-Tenant": "acme", "content-type": "text/csv", "User-agent": "nightly"},
        "a,b\n",
    )

    [request] = receiver.received
    assert (request.method, request.body) == ("PUT", b"a,b\n")
    assert request.headers["x-tenant"] == "acme"
    assert (request.headers["content-type"], request.headers["user-agent"]) == (
        "text/csv",
        "nightly",
    )


def test_request_without_a_body_sends_none(receiver):
    http_request(receiver.url, "GET")

    [request] = receiver.received
    assert request.body == b""
    assert "content-type" not in request.headers


def test_long_response_body_is_truncated(receiver):
    receiver.body = b"x" * (MAX_RESPONSE_BYTES + 1)

    result = http_request(receiver.url)

    assert (len(result["body"]), result["is_body_truncated"]) == (MAX_RESPONSE_BYTES, True)


def test_binary_response_body_is_stored_as_replaced_text(receiver):
    receiver.body = b"\xff\x00"

    assert json.dumps(http_request(receiver.url)["body"])


@pytest.mark.parametrize(
    ("status", "expected", "is_good"),
    [
        (200, None, True),
        (299, None, True),
        (302, None, False),
        (404, None, False),
        (404, 404, True),
        (200, 404, False),
        (302, [200, 302], True),
    ],
)
def test_unexpected_status_fails_the_run(receiver, status, expected, is_good):
    receiver.answers, receiver.body = [status], b"because"

    if is_good:
        assert http_request(receiver.url, expected_status=expected)["status"] == status
    else:
        with pytest.raises(UnexpectedStatus, match=rf"returned {status}, not .*: because$"):
            http_request(receiver.url, expected_status=expected)


def test_failure_message_has_no_query_and_no_header(receiver):
    receiver.answers = [500]

    with pytest.raises(UnexpectedStatus) as failure:
        http_request(f"{receiver.url}?key=hidden-1", headers={"X-Key": "hidden-2"})

    assert receiver.url in str(failure.value)
    assert "hidden" not in str(failure.value)


def test_response_timeout_fails_the_run(receiver):
    receiver.hold = threading.Event()

    with pytest.raises(NoResponse, match=r"no response within 0\.2 s"):
        http_request(receiver.url, timeout_seconds=0.2)


def test_redirect_is_not_followed(receiver):
    with Receiver() as other:
        receiver.answers, receiver.headers = [302], {"Location": other.url}
        with pytest.raises(UnexpectedStatus):
            http_request(receiver.url)

    assert not other.received


# --- Forbidden requests -----------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"url": "https://other.example/"}, "url", "does not name the host other.example"),
    ({"url": "https://internal.example/"}, "url", "does not name the host"),
    ({"url": "https://evilinternal.example/"}, "url", "does not name the host"),
    ({"url": "https://api.example.com.evil.example/"}, "url", "does not name the host"),
    ({"url": "https://api.example.com@evil.example/"}, "url", "a user or a password"),
    ({"url": "ftp://api.example.com/"}, "url", "must start with https"),
    ({"headers": {"Host": "other.example"}}, "headers", "is reserved"),
    ({"headers": {"transfer-encoding": "chunked"}}, "headers", "is reserved"),
    ({"headers": {"Proxy-Authorization": "x"}}, "headers", "is reserved"),
    ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers", "HTTP does not allow"),
    ({"headers": {"X A": "a"}}, "headers", "HTTP does not allow"),
]


def call(**changes: Any) -> dict[str, Any]:
    return {"url": "https://api.example.com/", **changes}


@pytest.mark.parametrize(("changes", "argument", "reason"), REFUSED)
def test_run_with_a_forbidden_request_is_refused(changes, argument, reason, monkeypatch):
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: pytest.fail("It asked."))

    with pytest.raises(RequestNotAllowed, match=reason):
        http_request(**call(**changes))


def test_run_with_another_method_is_refused(receiver):
    """A definition that another program stored has not passed the signature check."""
    with pytest.raises(RequestNotAllowed, match="GET, HEAD, POST"):
        http_request(receiver.url, "TRACE")

    assert not receiver.received


def test_task_is_off_by_default(settings, receiver):
    settings.HTTP_REQUEST_HOSTS = []

    with pytest.raises(RequestNotAllowed, match="HTTP_REQUEST_HOSTS"):
        http_request(receiver.url)

    assert not receiver.received


def test_named_host_with_a_private_address_is_not_called(settings, receiver, monkeypatch):
    settings.OUTGOING_PRIVATE_ADDRESSES = []
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: ["127.0.0.1"])

    with pytest.raises(RequestNotAllowed, match="not public"):
        http_request(f"http://api.example.com:{receiver.port}/")

    assert not receiver.received


@pytest.mark.parametrize("host", ["api.example.com", "API.example.com", "a.internal.example"])
def test_host_matches_its_name_or_a_wildcard(receiver, monkeypatch, host):
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: ["127.0.0.1"])

    assert http_request(f"http://{host}:{receiver.port}/")["status"] == 200


# --- Definitions ------------------------------------------------------------------------------


def definition(**columns: Any) -> dict[str, Any]:
    return heartbeat(task=TASK, **columns)


@pytest.mark.django_db
def test_periodic_task_with_an_allowed_request_is_stored(api):
    kwargs = call(method="GET", headers={"X-Tenant": "acme"}, expected_status=[200, 204])

    response = api.post(TASKS, definition(kwargs=kwargs))

    assert response.status_code == 201, response.json()


@pytest.mark.django_db
@pytest.mark.parametrize(("changes", "argument", "reason"), REFUSED)
def test_periodic_task_with_a_forbidden_request_is_refused_with_a_pointer(
    api, changes, argument, reason
):
    response = api.post(TASKS, definition(kwargs=call(**changes)))

    assert refusal(response) == (400, "validation_failed")
    [(pointer, _)] = mistakes(response)
    assert pointer == f"/kwargs/{argument}"
    assert reason in response.json()["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("args", "pointer"),
    [
        (["https://other.example/"], "/args/0"),
        (["https://api.example.com/", "GET", {"Host": "x"}], "/args/2"),
    ],
)
def test_positional_arguments_are_checked(api, args, pointer):
    response = api.post(TASKS, definition(args=args))

    assert [place for place, _ in mistakes(response)] == [pointer]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kwargs", "pointer"),
    [
        ({}, "/kwargs/url"),
        (call(method="CONNECT"), "/kwargs/method"),
        (call(timeout_seconds=0), "/kwargs/timeout_seconds"),
        (call(timeout_seconds=601), "/kwargs/timeout_seconds"),
        (call(headers={"X-A": 1}), "/kwargs/headers/X-A"),
        (call(colour="red"), "/kwargs/colour"),
    ],
)
def test_signature_of_http_request_is_checked(api, kwargs, pointer):
    response = api.post(TASKS, definition(kwargs=kwargs))

    assert refusal(response) == (400, "validation_failed")
    assert [place for place, _ in mistakes(response)] == [pointer]


@pytest.mark.django_db
def test_periodic_task_is_refused_while_http_request_is_off(api, settings):
    settings.HTTP_REQUEST_HOSTS = []

    response = api.post(TASKS, definition(kwargs=call()))

    assert mistakes(response) == [("/kwargs/url", "not_allowed")]
    assert "HTTP_REQUEST_HOSTS" in response.json()["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "X-Auth-Token", "Cookie"])
def test_secrets_in_headers_are_redacted_in_responses(api, canary, name):
    kwargs = call(headers={name: canary, "X-Tenant": "acme"})

    response = api.post(TASKS, definition(kwargs=kwargs))

    assert response.json()["kwargs"]["headers"] == {name: "***", "X-Tenant": "acme"}
