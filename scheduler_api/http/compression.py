"""gzip for pages and documents without secrets.

Answers of the API are not compressed: the length of a compressed answer tells who chooses a part
of it about the secrets in the rest (BREACH). A proxy may compress what its operator knows.
"""

import gzip
from collections.abc import Callable
from functools import lru_cache, wraps

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

MIN_BYTES = 500
TEXT_TYPES = ("text/", "application/javascript", "application/json", "image/svg+xml")

View = Callable[..., HttpResponse]
# Those of the two pages, and of Django admin.
MAX_FILES = 32


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


class CompressedFilesMiddleware:
    """Compress the static files that WhiteNoise serves, once per process and file."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.compress = lru_cache(MAX_FILES)(compress_file)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Replace a file by its compressed version."""
        response = self.get_response(request)
        file = getattr(response, "file_to_stream", None)
        is_text = response.get("Content-Type", "").startswith(TEXT_TYPES)
        if file is None or not is_text or response.status_code != 200:  # noqa: PLR2004
            return response
        patch_vary_headers(response, ["Accept-Encoding"])
        if not accepts_gzip(request) or int(response["Content-Length"]) < MIN_BYTES:
            return response
        content = self.compress(file.name, response["Last-Modified"])
        compressed = HttpResponse(content, headers=dict(response.items()))
        compressed["Content-Encoding"] = "gzip"
        compressed["Content-Length"] = str(len(content))
        file.close()
        return compressed


def compress_file(path: str, modified: str) -> bytes:
    """Return a file compressed; `modified` makes a changed file another entry of the cache."""
    with open(path, "rb") as file:  # noqa: PTH123 - a Path would be made for each request
        return gzip.compress(file.read(), mtime=0)
