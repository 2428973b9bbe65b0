"""Answers to requests that never reach a view: problems like those of the API, and a log line."""

import json
import uuid
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest
from django.utils.encoding import escape_uri_path

from scheduler_api.http.middleware import ACCEPTABLE_REQUEST_ID, current_request_id
from scheduler_api.http.problems import CONTENT_TYPE, Problem
from scheduler_api.log_events import EventLogger, LogEvent

logger = EventLogger(__name__)


def refusal(problem: Problem, request: Any, *, client: str) -> bytes:
    """Return the bytes of a refusal, and log it. `request` is gunicorn's, None if unreadable."""
    refused = HttpRequest()
    refused.path = request.path if request else ""
    request_id = request_id_of(request)
    refused.request_id = request_id  # type: ignore[attr-defined]
    body = json.dumps(problem.as_json(refused)).encode()
    headers = {
        "Content-Type": CONTENT_TYPE,
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
        "Date": formatdate(usegmt=True),
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": request_id,
        **problem.headers,
    }
    token = current_request_id.set(request_id)
    logger.info(
        LogEvent.REQUEST_REFUSED,
        "%(method)s %(path)s %(status)s %(code)s client=%(client)s",
        method=request.method if request else "-",
        path=escape_uri_path(refused.path) or "-",
        status=problem.status_code,
        code=problem.code,
        client=client,
    )
    current_request_id.reset(token)
    status = HTTPStatus(problem.status_code)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head if request and request.method == "HEAD" else head + body


def request_id_of(request: Any) -> str:
    """Return the id of a request: the caller's `X-Request-Id` if well-formed, else a new one.

    The log line and the answer of one request get the same id.
    """
    if request is None:
        return str(uuid.uuid4())
    if not hasattr(request, "request_id"):
        ids = [value for name, value in request.headers if name == "X-REQUEST-ID"]
        is_acceptable = len(ids) == 1 and ACCEPTABLE_REQUEST_ID.fullmatch(ids[0])
        request.request_id = ids[0] if is_acceptable else str(uuid.uuid4())
    return str(request.request_id)
