"""The task `http_request`: validation and sending of its request, for services without Celery.

The task is off until HTTP_REQUEST_HOSTS names hosts. Otherwise, every caller with permission to
store a periodic task could make the service call any host in its network.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from scheduler_api.http.problems import Mistake
from scheduler_api.outbound.address_guard import AddressRefused, parse_url
from scheduler_api.outbound.client import RequestNotSent, is_success, send

TASK = "scheduler_api.tasks.http_request"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
MAX_TIMEOUT_SECONDS = 600
# The stored part of the response body: a result in the ledger has at most 64 KiB as JSON.
MAX_RESPONSE_BYTES = 16 * 1024
MAX_BODY_IN_MESSAGE = 500
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, section 5.6.2
HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")
# Headers that control routing, framing and the connection: only the client sets them.
RESERVED_HEADERS = {
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


class RequestNotAllowed(ValueError):
    """The request is not allowed and was not sent."""


class UnexpectedStatus(RuntimeError):
    """The response has an unexpected status."""


class NoResponse(RuntimeError):
    """There was no response."""


def mistakes_in_call(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield the mistakes in arguments that fit the signature of the task."""
    by_position = {"url": 0, "headers": 2}
    for name, check in (("url", refuse_url), ("headers", refuse_headers)):
        position = by_position[name]
        is_named = name in kwargs or position >= len(args)
        value = kwargs.get(name) if is_named else args[position]
        try:
            if value is not None:
                check(value)
        except (RequestNotAllowed, AddressRefused) as error:
            yield Mistake(
                pointer=f"/kwargs/{name}" if is_named else f"/args/{position}",
                code=getattr(error, "code", "not_allowed"),
                detail=str(error),
            )


def refuse_url(url: str) -> None:
    """Raise AddressRefused or RequestNotAllowed for a forbidden URL, without resolving it."""
    hosts = settings.HTTP_REQUEST_HOSTS
    if not hosts:
        raise RequestNotAllowed(
            "The task http_request is off. Add the host to the setting HTTP_REQUEST_HOSTS."
        )
    host = parse_url(url).host.lower().rstrip(".")
    if not any(host == known or is_subdomain(host, known) for known in hosts):
        raise RequestNotAllowed(
            f"The setting HTTP_REQUEST_HOSTS does not name the host {host}. Use a named host."
        )


def is_subdomain(host: str, pattern: str) -> bool:
    """Return whether a host matches `*.example.com`, which example.com itself does not."""
    return pattern.startswith("*.") and host.endswith(pattern[1:])


def refuse_headers(headers: Mapping[str, str]) -> None:
    """Raise RequestNotAllowed for a header that is malformed or reserved."""
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
            raise RequestNotAllowed(
                f"The header {name[:80]!r} has characters that HTTP does not allow. Remove them."
            )
        if name.lower() in RESERVED_HEADERS or name.lower().startswith("proxy-"):
            raise RequestNotAllowed(f"The header {name} is reserved. Remove it.")


def perform(
    url: str,
    *,
    method: str,
    headers: Mapping[str, str] | None,
    body: Any,
    expected_status: Sequence[int],
    timeout_seconds: float,
) -> dict[str, Any]:
    """Send a request; return the status, the start of the body, and the duration.

    Raise RequestNotAllowed, NoResponse or UnexpectedStatus. Their messages contain no header and
    no query of the URL, which may contain secrets.
    """
    if method not in METHODS:
        raise RequestNotAllowed(f"The method is not allowed. Use one of {', '.join(METHODS)}.")
    try:
        refuse_url(url)
        refuse_headers(headers or {})
    except AddressRefused as error:
        raise RequestNotAllowed(str(error)) from error
    sent, content_type = encoded(body)
    started = time.monotonic()
    try:
        answer = send(
            method,
            url,
            headers={**content_type, **in_title_case(headers or {})},
            body=sent,
            timeout_seconds=timeout_seconds,
            max_response_bytes=MAX_RESPONSE_BYTES,
        )
    except AddressRefused as error:
        raise RequestNotAllowed(str(error)) from error
    except RequestNotSent as error:
        raise NoResponse(f"{method} {without_query(url)}: {error}") from error
    text = answer.body.decode("utf-8", errors="replace")
    if not is_expected(answer.status, expected_status):
        expected = " or ".join(map(str, expected_status)) or "2xx"
        raise UnexpectedStatus(
            f"{method} {without_query(url)} returned {answer.status}, not {expected}: "
            f"{text[:MAX_BODY_IN_MESSAGE]}"
        )
    return {
        "status": answer.status,
        "body": text,
        "is_body_truncated": answer.is_truncated,
        "duration_seconds": round(time.monotonic() - started, 3),
    }


def is_expected(status: int, expected: Sequence[int]) -> bool:
    """Return whether a status is expected: one of `expected`, or 2xx if that is empty."""
    return status in expected if expected else is_success(status)


def encoded(body: Any) -> tuple[bytes | None, dict[str, str]]:
    """Return the encoded body and its content type: text unchanged, any other value as JSON."""
    if body is None:
        return None, {}
    if isinstance(body, str):
        return body.encode(), {"Content-Type": "text/plain; charset=utf-8"}
    return json.dumps(body).encode(), {"Content-Type": "application/json"}


def in_title_case(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers in title case, so that a caller's header replaces a default one."""
    return {name.title(): value for name, value in headers.items()}


def without_query(url: str) -> str:
    """Return a URL without its query."""
    return urlsplit(url)._replace(query="").geturl()
