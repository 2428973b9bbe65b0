"""What happens to every request before it reaches a view."""

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

# Of the request that this thread answers, or has answered last: what is logged of an answer
# after it was made belongs to it.
current_request_id = ContextVar("current_request_id", default="")

ACCEPTABLE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Give each request an id, the caller's own `X-Request-Id` if it is a sane one."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Set `request.request_id`, and answer with it."""
        theirs = request.headers.get("X-Request-Id", "")
        is_sane = ACCEPTABLE_REQUEST_ID.fullmatch(theirs)
        request.request_id = theirs if is_sane else str(uuid.uuid4())  # type: ignore[attr-defined]
        current_request_id.set(request.request_id)  # type: ignore[attr-defined]
        response = self.get_response(request)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        return response


class AccessLogMiddleware:
    """Log each request in one line, without its query string, which may have secrets."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Log what was asked, how it was answered, how long that took, and for whom."""
        began = time.perf_counter()
        response = self.get_response(request)
        logger.info(
            LogEvent.REQUEST_ANSWERED,
            "%(method)s %(path)s %(status)s %(duration_ms)s ms client=%(client)s",
            method=request.method,
            path=escape_uri_path(request.path),
            status=response.status_code,
            duration_ms=round((time.perf_counter() - began) * 1000, 1),
            client=client_address(request),
        )
        return response


class SafeHeadersMiddleware:
    """Tell browsers and caches how little they may do with an answer that does not say itself.

    Django's own middleware sets the other headers of this kind; Django 6 has this one, too.
    """

    HEADERS = {
        # Everything from this server, no script or style in the page, nobody's frame.
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
        """Add the headers that are missing."""
        response = self.get_response(request)
        for name, value in self.HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class OptionalSlashMiddleware:
    """Serve `/api/v1/periodic-tasks` as `/api/v1/periodic-tasks/`, for every method.

    A redirect (Django's APPEND_SLASH) would lose the body of a POST.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Add the slash to the path that the URL patterns see."""
        if request.path_info.startswith("/api/") and not request.path_info.endswith("/"):
            request.path_info += "/"
        return self.get_response(request)
