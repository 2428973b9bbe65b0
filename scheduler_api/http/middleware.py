"""Middleware: request ids, the access log, safe headers, optional slashes."""

import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path

from scheduler_api.http.client_address import client_address
from scheduler_api.log_events import EventLogger, LogEvent

logger = EventLogger(__name__)

# The request that this thread handles or handled last: log lines after the response belong to it.
current_request_id = ContextVar("current_request_id", default="")

ACCEPTABLE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Give each request an id: the caller's `X-Request-Id` if it is well-formed."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Set `request.request_id`, and return it as a header."""
        requested = request.headers.get("X-Request-Id", "")
        is_acceptable = ACCEPTABLE_REQUEST_ID.fullmatch(requested)
        request.request_id = requested if is_acceptable else str(uuid.uuid4())  # type: ignore[attr-defined]
        current_request_id.set(request.request_id)  # type: ignore[attr-defined]
        response = self.get_response(request)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        return response


class AccessLogMiddleware:
    """Log each request in one line, without its query string, which may contain secrets."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Log the method, path, status, duration and client."""
        started = time.perf_counter()
        response = self.get_response(request)
        logger.info(
            LogEvent.REQUEST_ANSWERED,
            "%(method)s %(path)s %(status)s %(duration_ms)s ms client=%(client)s",
            method=request.method,
            path=escape_uri_path(request.path),
            status=response.status_code,
            duration_ms=round((time.perf_counter() - started) * 1000, 1),
            client=client_address(request),
        )
        return response


class SafeHeadersMiddleware:
    """Add restrictive headers for browsers and caches, unless the response sets them.

    Django's middleware sets the other security headers; Django 6 has Content-Security-Policy, too.
    """

    HEADERS = {
        # Resources from this server only, no inline script or style, no framing.
        "Content-Security-Policy": (
            "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
            "form-action 'self'; frame-ancestors 'none'"
        ),
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cache-Control": "no-store",
    }

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Add the missing headers."""
        response = self.get_response(request)
        for name, value in self.HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class StorablePathMiddleware:
    """Let a path with a NUL character find no route: PostgreSQL refuses to look for one."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Resolve such a path as an unknown one, under the API or outside of it."""
        if "\0" in request.path_info:
            is_api = request.path_info.startswith("/api/")
            request.path_info = "/api/" if is_api else "/\0"
        return self.get_response(request)


class OptionalSlashMiddleware:
    """Serve `/api/v1/periodic-tasks` as `/api/v1/periodic-tasks/`, for every method.

    A redirect (Django's APPEND_SLASH) would lose the body of a POST.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Add the slash to the path that Django resolves."""
        if request.path_info.startswith("/api/") and not request.path_info.endswith("/"):
            request.path_info += "/"
        return self.get_response(request)
