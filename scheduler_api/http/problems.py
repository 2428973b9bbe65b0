"""Problem details (RFC 9457): the one shape of every error this service answers with."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.core.exceptions import DisallowedHost, PermissionDenied
from django.core.signals import got_request_exception
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
MAX_ERRORS = 100


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One thing wrong with a request, and where: in the body or in the query string.

    `pointer` is a JSON pointer (RFC 6901) into the body, "" for the whole of it.
    """

    code: str
    detail: str
    pointer: str | None = None
    parameter: str | None = None

    def as_json(self) -> dict[str, str]:
        """Return the members that are there."""
        return {name: value for name, value in vars(self).items() if value is not None}


class Problem(Exception):
    """A refusal: the docstring's first line is its title, `code` never changes."""

    status_code: int
    code: str

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[Mistake] = (),
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        super().__init__(detail)
        self.detail = detail or sentence(errors) or self.title()
        self.errors = errors
        self.headers = dict(headers or {})
        self.members = members

    @classmethod
    def title(cls) -> str:
        """Return the sentence that all problems of this class share."""
        return (cls.__doc__ or "").partition("\n")[0]

    def as_json(self, request: HttpRequest | Request) -> dict[str, object]:
        """Return the members of the answer to `request`."""
        return {
            "type": f"urn:scheduler-api:problem:{self.code}",
            "title": self.title(),
            "status": self.status_code,
            "detail": self.detail,
            "instance": request.path,
            "code": self.code,
            "request_id": getattr(request, "request_id", ""),
            "errors": [mistake.as_json() for mistake in self.errors[:MAX_ERRORS]],
            **self.members,
        }


class BadRequest(Problem):
    """The request cannot be read."""

    status_code = 400
    code = "bad_request"


class MalformedBody(Problem):
    """The body is not a JSON document that this service takes."""

    status_code = 400
    code = "malformed_body"


class ValidationFailed(Problem):
    """Some of the values sent are not valid."""

    status_code = 400
    code = "validation_failed"


class InvalidQuery(Problem):
    """The query string has a parameter that is unknown or not valid."""

    status_code = 400
    code = "invalid_query"


class NotAuthenticated(Problem):
    """The request has no valid credentials."""

    status_code = 401
    code = "not_authenticated"


class Forbidden(Problem):
    """The credentials do not allow this."""

    status_code = 403
    code = "forbidden"


class NotFound(Problem):
    """There is nothing at this address."""

    status_code = 404
    code = "not_found"


class MethodNotAllowed(Problem):
    """This address does not take this method."""

    status_code = 405
    code = "method_not_allowed"


class NotAcceptable(Problem):
    """The answer cannot be given in a media type that the request accepts."""

    status_code = 406
    code = "not_acceptable"


class Conflict(Problem):
    """Another request changed what this one relied on; nothing was changed, try again."""

    status_code = 409
    code = "conflict"


class LengthRequired(Problem):
    """The request does not say how long its body is."""

    status_code = 411
    code = "length_required"


class BodyTooLarge(Problem):
    """The body is larger than this service takes."""

    status_code = 413
    code = "body_too_large"


class UnsupportedMediaType(Problem):
    """The body has a media type that this service does not take."""

    status_code = 415
    code = "unsupported_media_type"


class TooManyRequests(Problem):
    """There were too many requests; wait before the next."""

    status_code = 429
    code = "too_many_requests"


class ServerError(Problem):
    """Something broke on our side; nothing was changed."""

    status_code = 500
    code = "server_error"


class Unavailable(Problem):
    """A service that this one needs does not answer; nothing was changed."""

    status_code = 503
    code = "unavailable"


def sentence(errors: Sequence[Mistake]) -> str:
    """Return the first mistake in words, for those who read no further than `detail`."""
    if not errors:
        return ""
    first, more = errors[0], len(errors) - 1
    place = first.parameter or first.pointer or "The body"
    return f"{place}: {first.detail}" + (f" (and {more} more)" if more else "")


def problem_response(error: Exception, context: Mapping[str, object]) -> Response:
    """Answer an exception out of a view; REST framework's exception handler."""
    # Not at the top: rest_framework.views imports our parser, and that this module.
    from rest_framework.views import set_rollback  # noqa: PLC0415

    set_rollback()
    request = context["request"]
    assert isinstance(request, Request)
    problem = as_problem(error)
    if isinstance(problem, ServerError):
        got_request_exception.send(sender=None, request=request)
        logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return Response(
        problem.as_json(request),
        status=problem.status_code,
        headers=problem.headers,
        content_type=CONTENT_TYPE,
    )


def as_problem(error: Exception) -> Problem:
    """Turn an exception of Django's or REST framework's into ours."""
    match error:
        case Problem():
            problem = error
        case exceptions.ValidationError():
            problem = ValidationFailed(errors=list(mistakes_in(error.detail)))
        case exceptions.MethodNotAllowed():
            problem = MethodNotAllowed(str(error.detail))
        case exceptions.NotAcceptable():
            problem = NotAcceptable("Accept application/json, and application/problem+json.")
        case exceptions.UnsupportedMediaType():
            problem = UnsupportedMediaType(f"{error.detail} Send application/json.")
        case exceptions.ParseError():
            problem = BadRequest(str(error.detail))
        case exceptions.NotFound() | Http404():
            problem = NotFound()
        case exceptions.PermissionDenied() | PermissionDenied():
            problem = Forbidden()
        case IntegrityError():
            problem = Conflict()
        case OperationalError() | InterfaceError():
            logger.error("The database does not answer: %s", error)
            problem = Unavailable("The database does not answer.", headers={"Retry-After": "5"})
        case _:
            problem = ServerError()
    return problem


def mistakes_in(detail: object, pointer: str = "") -> Iterator[Mistake]:
    """Flatten the nested detail of a ValidationError into mistakes with JSON pointers."""
    match detail:
        case exceptions.ErrorDetail():
            yield Mistake(pointer=pointer, code=detail.code or "invalid", detail=str(detail))
        case Mapping():
            for name, inner in detail.items():
                at_parent = name == "non_field_errors"
                yield from mistakes_in(inner, pointer if at_parent else join(pointer, name))
        case [*items] if all(isinstance(item, exceptions.ErrorDetail) for item in items):
            for item in items:
                yield from mistakes_in(item, pointer)
        case [*items]:
            for index, item in enumerate(items):
                yield from mistakes_in(item, join(pointer, index))


def join(pointer: str, *segments: object) -> str:
    """Add reference tokens to a JSON pointer (RFC 6901, section 3)."""
    escaped = (str(segment).replace("~", "~0").replace("/", "~1") for segment in segments)
    return "/".join([pointer, *escaped])


# --- Django's own error pages, outside REST framework's views --------------------------------


def _answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    return JsonResponse(
        problem.as_json(request), status=problem.status_code, content_type=CONTENT_TYPE
    )


def _is_for_programs(request: HttpRequest) -> bool:
    return not request.path.startswith("/admin/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    if isinstance(exception, DisallowedHost):
        return _answer(request, BadRequest("The setting ALLOWED_HOSTS does not have this Host."))
    return _answer(request, BadRequest())


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    if not _is_for_programs(request):
        return defaults.permission_denied(request, exception)
    return _answer(request, Forbidden())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    if not _is_for_programs(request):
        return defaults.page_not_found(request, exception)
    return _answer(request, NotFound())


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: Django itself has logged the exception."""
    if not _is_for_programs(request):
        return defaults.server_error(request)
    return _answer(request, ServerError())
