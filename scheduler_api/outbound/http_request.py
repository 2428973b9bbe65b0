"""What the task `http_request` may send, and the sending of it: for services without Celery.

It is off until HTTP_REQUEST_HOSTS names hosts. Whoever may store a periodic task could otherwise
have us call whatever we can reach.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from scheduler_api.http.problems import Mistake
from scheduler_api.outbound.address_guard import Refused, read_url
from scheduler_api.outbound.client import NotSent, is_success, send

TASK = "scheduler_api.tasks.http_request"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
MAX_SECONDS = 600
# Of the answer, so much is kept: in the ledger a result has 64 KiB as JSON.
MAX_ANSWER_BYTES = 16 * 1024
MAX_SHOWN = 500
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, section 5.6.2
HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")
# What says where a message goes and how long it is, is ours to say.
OURS = {
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


class NotAsked(ValueError):
    """The request may not be sent; nothing was."""


class UnexpectedStatus(RuntimeError):
    """The answer has another status than was expected."""


class NoAnswer(RuntimeError):
    """Nobody has answered."""


def mistakes_in_call(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what is wrong with the arguments of the task, which fit its signature."""
    by_position = {"url": 0, "headers": 2}
    for name, check in (("url", refuse_url), ("headers", refuse_headers)):
        position = by_position[name]
        is_named = name in kwargs or position >= len(args)
        value = kwargs.get(name) if is_named else args[position]
        try:
            if value is not None:
                check(value)
        except (NotAsked, Refused) as error:
            yield Mistake(
                pointer=f"/kwargs/{name}" if is_named else f"/args/{position}",
                code=getattr(error, "code", "not_allowed"),
                detail=str(error),
            )


def refuse_url(url: str) -> None:
    """Raise Refused or NotAsked for a URL that may not be called, whatever it leads to."""
    hosts = settings.HTTP_REQUEST_HOSTS
    if not hosts:
        raise NotAsked("It is off: the setting HTTP_REQUEST_HOSTS names the hosts it may call.")
    host = read_url(url).host.lower().rstrip(".")
    if not any(host == known or is_below(host, known) for known in hosts):
        raise NotAsked(f"The setting HTTP_REQUEST_HOSTS does not name the host {host}.")


def is_below(host: str, pattern: str) -> bool:
    """Tell whether a host is one of `*.example.com`, which is not example.com itself."""
    return pattern.startswith("*.") and host.endswith(pattern[1:])


def refuse_headers(headers: Mapping[str, str]) -> None:
    """Raise NotAsked for a header that is none, or that is not the caller's."""
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
            raise NotAsked(f"The header {name[:80]!r} has what HTTP does not take.")
        if name.lower() in OURS or name.lower().startswith("proxy-"):
            raise NotAsked(f"The header {name} is not the caller's to send.")


def perform(
    url: str,
    *,
    method: str,
    headers: Mapping[str, str] | None,
    body: Any,
    expected_status: Sequence[int],
    timeout_seconds: float,
) -> dict[str, Any]:
    """Send a request; return the status, the beginning of the body, and how long it took.

    Raise NotAsked, NoAnswer or UnexpectedStatus. No message has the query of the URL, which may
    have a secret, and none has a header.
    """
    if method not in METHODS:
        raise NotAsked(f"The method is one of {', '.join(METHODS)}.")
    try:
        refuse_url(url)
        refuse_headers(headers or {})
    except Refused as error:
        raise NotAsked(str(error)) from error
    sent, content_type = encoded(body)
    started = time.monotonic()
    try:
        answer = send(
            method,
            url,
            headers={**content_type, **titled(headers or {})},
            body=sent,
            within=timeout_seconds,
            max_answer_bytes=MAX_ANSWER_BYTES,
        )
    except Refused as error:
        raise NotAsked(str(error)) from error
    except NotSent as error:
        raise NoAnswer(f"{method} {shown(url)}: {error}") from error
    text = answer.body.decode("utf-8", errors="replace")
    if not is_expected(answer.status, expected_status):
        expected = " or ".join(map(str, expected_status)) or "2xx"
        raise UnexpectedStatus(
            f"{method} {shown(url)} answered {answer.status}, not {expected}: {text[:MAX_SHOWN]}"
        )
    return {
        "status": answer.status,
        "body": text,
        "is_body_truncated": answer.is_truncated,
        "duration_seconds": round(time.monotonic() - started, 3),
    }


def is_expected(status: int, expected: Sequence[int]) -> bool:
    """Tell whether a status is one of those; without any, whether it tells of success."""
    return status in expected if expected else is_success(status)


def encoded(body: Any) -> tuple[bytes | None, dict[str, str]]:
    """Return a body as it is sent, with its type: text as it is, any other value as JSON."""
    if body is None:
        return None, {}
    if isinstance(body, str):
        return body.encode(), {"Content-Type": "text/plain; charset=utf-8"}
    return json.dumps(body).encode(), {"Content-Type": "application/json"}


def titled(headers: Mapping[str, str]) -> dict[str, str]:
    """Write names alike, so that a caller's header takes the place of ours."""
    return {name.title(): value for name, value in headers.items()}


def shown(url: str) -> str:
    """Return a URL without its query."""
    return urlsplit(url)._replace(query="").geturl()
