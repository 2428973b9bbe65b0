"""Problem details (RFC 9457): the format of every error response."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

from django.http import HttpRequest
from rest_framework import exceptions
from rest_framework.request import Request

CONTENT_TYPE = "application/problem+json"
# Mistakes that a response lists. Whatever collects mistakes stops at one more.
MAX_ERRORS = 100
# Characters of a pointer or a text in a response: a body may have a key of megabytes.
MAX_POINTER_LENGTH = 1000
MAX_TEXT_LENGTH = 1000
SHOWN_END = 200


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A mistake in the body or the query string, with its place.

    `pointer` is a JSON pointer (RFC 6901) into the body, "" for the whole body; `parameter` names
    a query parameter.
    """

    code: str
    detail: str
    pointer: str | None = None
    parameter: str | None = None

    def as_json(self) -> dict[str, str]:
        """Return the members that have a value, those from the body shortened."""
        members = {
            "code": self.code,
            "detail": shortened(self.detail),
            "pointer": self.pointer and nearest(self.pointer),
            "parameter": self.parameter,
        }
        return {name: value for name, value in members.items() if value is not None}


class Problem(Exception):
    """A refusal. The docstring's first line is its title; `code` never changes.

    `example` replaces common members in the example of the OpenAPI document; `extensions`
    describes the members that only this problem has.
    """

    status_code: int
    code: str
    example: ClassVar[Mapping[str, Any]] = {}
    extensions: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[Mistake] = (),
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        super().__init__(detail)
        self.detail = shortened(detail or sentence(errors) or self.title())
        self.errors = errors
        self.headers = dict(headers or {})
        self.members = members

    @classmethod
    def title(cls) -> str:
        """Return the title that all problems of this class share."""
        return (cls.__doc__ or "").partition("\n")[0]

    def as_json(self, request: HttpRequest | Request) -> dict[str, object]:
        """Return the members of the response to `request`."""
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
    """The request is invalid."""

    status_code = 400
    code = "bad_request"
    example = {"detail": "Invalid path."}


class MalformedBody(Problem):
    """The body cannot be parsed."""

    status_code = 400
    code = "malformed_body"
    example = {"detail": "The body is not valid JSON: Expecting value at line 1, column 10."}


class ValidationFailed(Problem):
    """Some values in the body are invalid."""

    status_code = 400
    code = "validation_failed"
    example = {
        "detail": "/schedule/every: Ensure this value is greater than or equal to 1.",
        "errors": [
            {
                "code": "min_value",
                "detail": "Ensure this value is greater than or equal to 1.",
                "pointer": "/schedule/every",
            }
        ],
    }


class InvalidQuery(Problem):
    """The query string has an unknown or invalid parameter."""

    status_code = 400
    code = "invalid_query"
    example = {
        "detail": "page_size: Must be a whole number from 1 to 500.",
        "errors": [
            {
                "code": "invalid",
                "detail": "Must be a whole number from 1 to 500.",
                "parameter": "page_size",
            }
        ],
    }


class NotAuthenticated(Problem):
    """The request has no valid credentials."""

    status_code = 401
    code = "not_authenticated"
    example = {"detail": "Send the header Authorization: Bearer <API key>."}

    def __init__(self, detail: str = "", *, error: str = "") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge(error=error)})


class Forbidden(Problem):
    """The account lacks permission for this operation."""

    status_code = 403
    code = "forbidden"
    example = {
        "detail": "The account 'reports' does not have the scope periodic-tasks:write. "
        "Ask an admin for it.",
    }


def challenge(**reasons: str) -> str:
    """Return the WWW-Authenticate challenge and the reason of a refusal (RFC 6750, section 3)."""
    given = ", ".join(f'{name}="{value}"' for name, value in reasons.items() if value)
    return f"Bearer {given}".strip()


class NotFound(Problem):
    """There is no such resource, or the account may not read it."""

    status_code = 404
    code = "not_found"
    example = {"instance": "/api/v1/periodic-tasks/7/"}


class MethodNotAllowed(Problem):
    """The resource does not allow this method."""

    status_code = 405
    code = "method_not_allowed"


class NotAcceptable(Problem):
    """The resource has no representation in an accepted media type."""

    status_code = 406
    code = "not_acceptable"
    example = {"detail": "Accept application/json and application/problem+json."}


class Conflict(Problem):
    """A concurrent request changed the same data. Nothing was changed; send the request again."""

    status_code = 409
    code = "conflict"


class LengthRequired(Problem):
    """The request has no Content-Length."""

    status_code = 411
    code = "length_required"
    example = {"detail": "Send the body with a Content-Length, not in chunks."}


class BodyTooLarge(Problem):
    """The body exceeds a size limit."""

    status_code = 413
    code = "body_too_large"
    example = {"detail": "Send at most 262144 bytes."}


class UnsupportedMediaType(Problem):
    """The media type of the body is not supported."""

    status_code = 415
    code = "unsupported_media_type"
    example = {"detail": 'Unsupported media type "text/plain" in request. Send application/json.'}


class TooManyRequests(Problem):
    """The request exceeds a rate limit."""

    status_code = 429
    code = "too_many_requests"
    example = {
        "detail": "The account 'reports' has used up its requests of this minute. "
        "Wait for the number of seconds in Retry-After.",
    }


class ServerError(Problem):
    """The server failed to handle the request. Nothing was changed."""

    status_code = 500
    code = "server_error"


class Unavailable(Problem):
    """A service that this one needs is unavailable. Nothing was changed."""

    status_code = 503
    code = "unavailable"
    example = {"detail": "The database is unavailable. Retry later."}


class DatabaseBusy(Problem):
    """The database was busy for too long. Nothing was changed; send the request again."""

    status_code = 503
    code = "database_busy"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


def sentence(errors: Sequence[Mistake]) -> str:
    """Return a summary of the first mistake, for clients that show only `detail`."""
    if not errors:
        return ""
    first, more = errors[0], len(errors) - 1
    place = first.parameter or first.pointer or "The body"
    rest = f" (and {'at least ' * (more >= MAX_ERRORS)}{more} more)" if more else ""
    return shortened(f"{place}: {first.detail}", MAX_TEXT_LENGTH - len(rest)) + rest


def shortened(text: str, length: int = MAX_TEXT_LENGTH) -> str:
    """Return the beginning and the end of a text of more than `length` characters."""
    if len(text) <= length:
        return text
    return f"{text[: length - SHOWN_END - 1]}…{text[-SHOWN_END:]}"


def nearest(pointer: str) -> str:
    """Return a JSON pointer, or one to the nearest enclosing value if it is too long."""
    while len(pointer) > MAX_POINTER_LENGTH:
        pointer = pointer.rpartition("/")[0]
    return pointer


def first_mistakes(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """Return as many mistakes as a response lists, and one more if there are more."""
    return list(islice(mistakes, MAX_ERRORS + 1))


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
