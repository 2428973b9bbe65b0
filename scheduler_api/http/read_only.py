"""Views outside REST framework that only answer reads."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from scheduler_api.http.handlers import respond
from scheduler_api.http.problems import MethodNotAllowed

View = Callable[..., HttpResponseBase]


def read_only(view: View) -> View:
    """Refuse each method but GET and HEAD with a problem.

    Without the exemption, Django would answer them first: with a page about a missing CSRF token.
    """

    @wraps(view)
    def answer(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if request.method in {"GET", "HEAD"}:
            return view(request, *args, **kwargs)
        return respond(request, method_not_allowed(request))

    return csrf_exempt(answer)


def method_not_allowed(request: HttpRequest) -> MethodNotAllowed:
    """Return the refusal of a method where only reads are."""
    return MethodNotAllowed(
        f'Method "{request.method}" not allowed.', headers={"Allow": "GET, HEAD"}
    )
