"""Exception handlers: every exception of a view or of Django becomes a problem response."""

from collections.abc import Iterable, Mapping

from django.conf import settings
from django.core.exceptions import DisallowedHost, PermissionDenied, SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, set_rollback

from scheduler_api.http.database_limits import is_transient
from scheduler_api.http.problems import (
    CONTENT_TYPE,
    BadRequest,
    Conflict,
    DatabaseBusy,
    Forbidden,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    Problem,
    ServerError,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
    first_mistakes,
    mistakes_in,
)
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line

logger = EventLogger(__name__)


def problem_response(error: Exception, context: Mapping[str, object]) -> Response:
    """Return the response to an exception in a view; REST framework's EXCEPTION_HANDLER."""
    set_rollback()
    request, view = context["request"], context["view"]
    assert isinstance(request, Request)
    assert isinstance(view, APIView)
    problem = as_problem(error, view)
    if isinstance(problem, ServerError):
        got_request_exception.send(sender=None, request=request)
        logger.error(
            LogEvent.REQUEST_FAILED,
            "%(method)s %(path)s failed",
            method=request.method,
            path=request.path,
            exc_info=error,
        )
    return Response(
        problem.as_json(request),
        status=problem.status_code,
        headers=problem.headers,
        content_type=CONTENT_TYPE,
    )


def as_problem(error: Exception, view: APIView) -> Problem:
    """Return the problem for an exception of Django or REST framework in this view."""
    match error:
        case Problem():
            problem = error
        case exceptions.ValidationError():
            problem = ValidationFailed(errors=first_mistakes(mistakes_in(error.detail)))
        case exceptions.MethodNotAllowed():
            problem = MethodNotAllowed(str(error.detail))
        case exceptions.NotAcceptable():
            answers = media_types(view.renderer_classes)
            problem = NotAcceptable(f"Accept {answers} and {CONTENT_TYPE}.")
        case exceptions.UnsupportedMediaType():
            bodies = media_types(view.parser_classes)
            problem = UnsupportedMediaType(f"{error.detail} Send {bodies}.")
        case exceptions.ParseError() | SuspiciousOperation():
            problem = BadRequest(str(error))
        case exceptions.NotFound() | Http404():
            problem = NotFound()
        case exceptions.PermissionDenied() | PermissionDenied():
            problem = Forbidden()
        case IntegrityError():
            problem = Conflict()
        case DatabaseError() if is_transient(error):
            logger.warning(
                LogEvent.DATABASE_BUSY,
                "The database gave up: %(error)s",
                error=in_one_line(error),
            )
            problem = DatabaseBusy()
        case OperationalError() | InterfaceError():
            logger.error(
                LogEvent.DATABASE_UNAVAILABLE,
                "The database is unavailable: %(error)s",
                error=in_one_line(error),
            )
            problem = Unavailable(
                "The database is unavailable. Retry later.", headers={"Retry-After": "5"}
            )
        case _:
            problem = ServerError()
    return problem


def media_types(classes: Iterable[type[BaseParser] | type[BaseRenderer]]) -> str:
    """Return the media types of parsers or renderers, as a phrase."""
    return " or ".join(str(each.media_type) for each in classes)


# --- Django's error handlers, for requests outside REST framework's views ----------------------


def respond(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Return the response to a request that no view of REST framework handles."""
    response = JsonResponse(
        problem.as_json(request),
        status=problem.status_code,
        headers=problem.headers,
        content_type=CONTENT_TYPE,
    )
    # Django sets it in a middleware that some of these requests do not reach.
    response["Content-Length"] = str(len(response.content))
    return response


def _expects_problem(request: HttpRequest) -> bool:
    return not (settings.DJANGO_ADMIN and request.path.startswith("/admin/"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Replace Django's handler400."""
    if isinstance(exception, DisallowedHost):
        return respond(
            request,
            BadRequest(
                "The setting ALLOWED_HOSTS does not include this Host. Use an allowed host."
            ),
        )
    return respond(request, BadRequest())


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Replace Django's handler403."""
    if not _expects_problem(request):
        return defaults.permission_denied(request, exception)
    return respond(request, Forbidden())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Replace Django's handler404."""
    if not _expects_problem(request):
        return defaults.page_not_found(request, exception)
    return respond(request, NotFound())


def server_error(request: HttpRequest) -> HttpResponse:
    """Replace Django's handler500; Django has logged the exception."""
    if not _expects_problem(request):
        return defaults.server_error(request)
    return respond(request, ServerError())
