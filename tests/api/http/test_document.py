"""/openapi.yaml and its pages: rendered once, compressed, and kept by clients."""

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from scheduler_api.http.compression import accepts_gzip
from scheduler_api.openapi import document as module
from scheduler_api.openapi.document import Document
from tests.client import OPENAPI_FILE

PAGES = ["/docs/", "/docs/?script", "/redoc/"]
SCRIPT = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
GZIP = {"Accept-Encoding": "br, gzip"}


def get(path, **headers):
    return APIClient().get(path, headers=headers)


def test_concurrent_first_calls_render_the_document_once(monkeypatch):
    monkeypatch.setattr(module, "document", Document())
    calls = []
    generate = SchemaGenerator.get_schema

    def count(self, **options):
        calls.append(threading.get_ident())
        return generate(self, **options)

    monkeypatch.setattr(SchemaGenerator, "get_schema", count)
    with ThreadPoolExecutor(6) as pool:
        responses = list(pool.map(get, 6 * ["/openapi.yaml"]))

    assert {response.status_code for response in responses} == {200}
    assert {response.content.decode() for response in responses} == {OPENAPI_FILE.read_text()}
    assert len(calls) == 1


@pytest.mark.parametrize("query", ["?version=9", "?lang=de", "?format=json"])
def test_query_does_not_change_the_document(query):
    assert get(f"/openapi.yaml{query}").content == get("/openapi.yaml").content


@pytest.mark.parametrize("headers", [{}, GZIP])
def test_client_that_has_the_document_gets_304(headers):
    first = get("/openapi.yaml", **headers)
    tag = first.headers["ETag"]

    again = get("/openapi.yaml", **headers, **{"If-None-Match": f'"x", {tag}'})
    changed = get("/openapi.yaml", **headers, **{"If-None-Match": '"x"'})

    assert not tag.startswith("W/")
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
    assert changed.status_code == 200


def test_document_may_be_cached_by_anyone():
    headers = get("/openapi.yaml").headers

    assert headers["Cache-Control"] == "public, max-age=300"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_document_is_compressed_under_a_tag_of_its_own():
    plain, compressed = get("/openapi.yaml"), get("/openapi.yaml", **GZIP)

    assert gzip.decompress(compressed.content) == plain.content
    assert len(compressed.content) < len(plain.content) / 5
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert plain.headers["ETag"] != compressed.headers["ETag"]
    assert "Accept-Encoding" in plain.headers["Vary"]


@pytest.mark.parametrize("path", PAGES)
def test_page_is_compressed(path):
    plain, compressed = get(path), get(path, **GZIP)

    assert "Accept-Encoding" in plain.headers["Vary"]
    if len(plain.content) >= 500:
        # The script has a new CSRF token each time.
        assert gzip.decompress(compressed.content)[:1000] == plain.content[:1000]
        assert compressed.headers["Content-Encoding"] == "gzip"
    assert compressed.headers["Content-Length"] == str(len(compressed.content))


def test_script_of_a_page_is_compressed(db):
    plain, compressed = get(SCRIPT), get(SCRIPT, **GZIP)

    content = b"".join(plain.streaming_content)
    plain.close()
    assert gzip.decompress(compressed.content) == content
    assert compressed.headers["Content-Length"] == str(len(compressed.content))
    assert compressed.headers["Cache-Control"] == plain.headers["Cache-Control"]
    again = get(SCRIPT, **GZIP, **{"If-None-Match": compressed.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("value", ["bytes=0-1", "bytes=99999999-", "bytes=x"])
def test_range_of_a_static_file_is_ignored(db, value):
    response = get(SCRIPT, Range=value)

    assert response.status_code == 200
    response.close()


def test_answer_of_the_api_is_not_compressed(api):
    response = api.get("/api/v1/tasks/", headers=GZIP)

    assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip ; q=1.000", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=x", False),
        ("x-gzip-no", False),
        ("br", False),
        ("", False),
    ],
)
def test_accept_encoding_is_read_by_its_weights(rf, header, accepted):
    assert accepts_gzip(rf.get("/", headers={"Accept-Encoding": header})) is accepted


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/readyz", "/openapi.yaml", "/docs/", "/redoc/"]
)
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
def test_page_refuses_other_methods_with_a_problem(path, method):
    response = getattr(APIClient(enforce_csrf_checks=True), method)(path)

    assert response.status_code == 405
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Allow"] == "GET, HEAD"
    assert response.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/docs/", "/redoc/"])
def test_page_that_the_caller_does_not_accept_is_a_problem(path):
    response = get(path, Accept="application/json")

    assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")
