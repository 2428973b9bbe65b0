"""What happens to every request before it reaches a view."""

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

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
        response = self.get_response(request)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
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
