"""`/openapi.yaml`: rendered once per process, and answered from memory."""

import gzip
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from threading import Lock

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from drf_spectacular.generators import SchemaGenerator

from scheduler_api.http.compression import accepts_gzip
from scheduler_api.http.read_only import read_only
from scheduler_api.openapi.rendering import CompactYamlRenderer

# It changes with a deployment alone; a client asks again after these seconds, by its ETag.
MAX_AGE_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Representation:
    """The bytes of the document in one content coding, and their strong entity tag."""

    content: bytes
    etag: str
    coding: str = ""


class Document:
    """The document, rendered at the first call."""

    def __init__(self) -> None:
        self._lock = Lock()

    def representation(self, *, compressed: bool) -> Representation:
        """Return the document in a content coding."""
        # drf-spectacular changes view classes while it generates: two threads at once would fail.
        with self._lock:
            return self._compressed if compressed else self._plain

    @cached_property
    def _plain(self) -> Representation:
        document = SchemaGenerator().get_schema(public=True)
        content = CompactYamlRenderer().render(document)
        return Representation(content=content, etag=f'"{sha256(content).hexdigest()[:32]}"')

    @cached_property
    def _compressed(self) -> Representation:
        plain = self._plain
        content = gzip.compress(plain.content, mtime=0)
        return Representation(content=content, etag=f'{plain.etag[:-1]}-gzip"', coding="gzip")


document = Document()


@read_only
def openapi(request: HttpRequest) -> HttpResponse:
    """Return the document, or 304 if the caller has it already."""
    found = document.representation(compressed=accepts_gzip(request))
    response = HttpResponse(
        found.content,
        content_type=CompactYamlRenderer.media_type,
        headers={
            "Cache-Control": f"public, max-age={MAX_AGE_SECONDS}",
            "Content-Disposition": 'inline; filename="Scheduler API.yaml"',
            "ETag": found.etag,
            "Vary": "Accept-Encoding",
        },
    )
    if found.coding:
        response["Content-Encoding"] = found.coding
    conditional = get_conditional_response(request, etag=found.etag, response=response)
    assert isinstance(conditional, HttpResponse)
    return conditional
