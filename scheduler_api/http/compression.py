"""gzip for pages and documents without secrets.

Answers of the API are not compressed: the length of a compressed answer tells who chooses a part
of it about the secrets in the rest (BREACH). A proxy may compress what its operator knows.
"""

import gzip
from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

MIN_BYTES = 500

View = Callable[..., HttpResponse]


def accepts_gzip(request: HttpRequest) -> bool:
    """Return whether `Accept-Encoding` has gzip (RFC 9110, section 12.5.3)."""
    for member in request.headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, weight = member.replace(" ", "").partition(";")
        if coding == "gzip":
            try:
                return float(weight.removeprefix("q=") or 1) > 0
            except ValueError:
                return False
    return False


def compressed_page(view: View) -> View:
    """Compress the answers of a view."""

    @wraps(view)
    def answer(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if render := getattr(response, "render", None):
            render()
        patch_vary_headers(response, ["Accept-Encoding"])
        if len(response.content) >= MIN_BYTES and accepts_gzip(request):
            response.content = gzip.compress(response.content, mtime=0)
            response["Content-Encoding"] = "gzip"
            response["Content-Length"] = str(len(response.content))
        return response

    return answer
