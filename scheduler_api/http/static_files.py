"""What WhiteNoise, which serves the static files, does not do: compression, and problems."""

import gzip
from collections.abc import Callable
from functools import lru_cache

from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from whitenoise.middleware import WhiteNoiseFileResponse

from scheduler_api.http.compression import MIN_BYTES, accepts_gzip
from scheduler_api.http.handlers import respond
from scheduler_api.http.read_only import method_not_allowed

TEXT_TYPES = ("text/", "application/javascript", "application/json", "image/svg+xml")
# Those of the two pages, and of Django admin.
MAX_FILES = 32


class StaticFilesMiddleware:
    """Compress the files that WhiteNoise serves, once per process and file; refuse by problems."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.compress = lru_cache(MAX_FILES)(compress_file)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Replace WhiteNoise's response if it is a text, or an empty refusal."""
        # A server may ignore it; WhiteNoise would refuse some values without a body.
        request.META.pop("HTTP_RANGE", None)
        response = self.get_response(request)
        if not isinstance(response, WhiteNoiseFileResponse):
            return response
        if response.status_code == method_not_allowed(request).status_code:
            return respond(request, method_not_allowed(request))
        return self.compressed(request, response)

    def compressed(self, request: HttpRequest, response: FileResponse) -> HttpResponseBase:
        """Return the response to a read, compressed if it is a text and the caller accepts it."""
        file = getattr(response, "file_to_stream", None)
        is_text = response.get("Content-Type", "").startswith(TEXT_TYPES)
        if file is None or not is_text:
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
