"""Whatever bytes a client sends, it gets problems with a request id, and the log has a line each.

Schemathesis sends requests by a library that refuses to send most of these.
"""

import os
from collections.abc import Iterator
from random import Random
from urllib.parse import quote

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.document import OPERATIONS, Operation
from tests.journeys.conftest import new_database
from tests.journeys.service import Api
from tests.server.api import running
from tests.server.sockets import Answer, answers_in, exchange

pytestmark = pytest.mark.timeout(600)

# Statuses that are no fault of the server.
NO_FAULTS = {*range(200, 500), 501, 505}
SEED = int(os.environ.get("FUZZ_SEED", "1"))


@pytest.fixture(scope="module")
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API alone, on the database that the tests run on."""
    folder = tmp_path_factory.mktemp("bytes")
    if connection.vendor == "postgresql":
        with (
            new_database(request.getfixturevalue("postgres_url")) as database,
            running(folder, DATABASE_URL=database) as started,
        ):
            yield started
    else:
        with running(folder) as started:
            yield started


def check(api: Api, data: bytes) -> list[Answer]:
    """Send bytes; check the answers and their log lines."""
    before = api.output_file.stat().st_size
    answers = answers_in(exchange(api.port, data), to_head=b"HEAD " in data)
    with api.output_file.open("rb") as output:
        output.seek(before)
        log = output.read().decode()
    assert "Traceback" not in log, log
    for answer in answers:
        request_id = answer.headers["x-request-id"]
        assert answer.status in NO_FAULTS, (data, log)
        lines = [line for line in log.splitlines() if line.endswith(f"request_id={request_id}")]
        assert len(lines) == 1, (data, log)
        if answer.status >= 400 and b"HEAD " not in data:
            assert answer.headers["content-type"] == "application/problem+json", data
            assert answer.json["request_id"] == request_id
            assert answer.json["status"] == answer.status
    return answers


def head(method: str, target: str, *headers: bytes) -> bytes:
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"Host: localhost", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def key_header(api: Api) -> bytes:
    return f"Authorization: Bearer {api.key_file.read_text().strip()}".encode()


# --- Requests that are no requests ---------------------------------------------------------------

JSON = b"Content-Type: application/json"
VALID = [
    head("GET", "/healthz"),
    b"GET /readyz HTTP/1.0\r\n\r\n",
    head("GET", "/api/v1/tasks/?page_size=1", b"Accept: */*"),
    head("POST", "/api/v1/tasks/", JSON, b"Content-Length: 2") + b"{}",
    head("PUT", "/api/v1/periodic-tasks/by-name/a%20b/", b"Expect: 100-continue", JSON),
    head("PATCH", "/api/v1/periodic-tasks/1/", b"Expect: 100-continue", b"Content-Length: 1")
    + b"1",
    head("GET", "http://localhost/openapi.yaml", b"Connection: close"),
    head("OPTIONS", "*"),
    head("CONNECT", "localhost:80"),
    head("TRACE", "/"),
    head("POST", "/api/v1/runs/", b"Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    head("GET", "/static/scheduler_api/redoc.js", b"Range: bytes=0-1"),
    head("DELETE", "/static/scheduler_api/redoc.js"),
]
# What breaks parsers, put anywhere in a request.
PIECES = [
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"%", b"%00", b"%zz", b"%2e%2e/", b"//"),
    *(b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"..", b"?", b"#", b";", b"[", b"\x7f", b"\x85"),
    b"\r\nHost: other",
    b"\r\nContent-Length: 0",
    b"\r\nContent-Length: 99999999999999999999",
    b"\r\nContent-Length: -1",
    b"\r\nTransfer-Encoding: chunked",
    b"\r\nTransfer-Encoding: identity",
    b"\r\nTransfer-Encoding: \x0bchunked",
    b"\r\nExpect: 100-continue",
    b"\r\nExpect: tea",
    b"\r\nContent-Type: application/json; charset=hex",
    b"\r\nContent-Type: multipart/form-data; boundary=" + b"a" * 300,
    b"\r\nConnection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    b"\r\nSCRIPT_NAME: /api",
    b"\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Proto: http",
    b"\r\nX-Request-Id: a b",
    b"\r\nCookie: " + b"a=b; " * 20,
    b"\r\n folded",
    b"\r\nA: " + b"a" * 9000,
    b"\r\nA: b" * 120,
    b"a" * 9000,
]


@st.composite
def sequences(draw: st.DrawFn) -> bytes:
    """Draw bytes that begin as requests do."""
    data = b"".join(draw(st.lists(st.sampled_from(VALID), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = start + draw(st.sampled_from([0, 0, 1, 2, 5, 40]))
        data = data[:start] + draw(st.sampled_from(PIECES) | st.binary(max_size=4)) + data[end:]
    return data


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=sequences() | st.binary(max_size=100))
def test_any_bytes_are_answered_by_problems_or_a_closed_connection(api, data):
    check(api, data)


@pytest.mark.parametrize("data", VALID, ids=lambda data: data.partition(b" HTTP")[0].decode())
@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: repr(piece[:40]))
def test_piece_in_a_request_line_or_a_head_is_answered(api, data, piece):
    line, end, rest = data.partition(b"\r\n")

    check(api, line + piece + end + rest)
    check(api, line.replace(b" HTTP", piece + b" HTTP") + end + rest)


# --- Every operation -----------------------------------------------------------------------------

VALUES = [
    *("%00", "a%00b", "%0a", "%0d%0a", "%2e", "%2e%2e", "%2e%2e%2fx", "..", ".", "%2f", "%5c"),
    *("%ff", "%c0%af", "%ed%a0%80", "%f4%90%80%80", "%zz", "%", "%2", "%u0041", "%25", "%20"),
    *("%e2%80%ae", "%c2%85", "%ef%bf%bf", "%f0%9f%98%80", "%3f", "%23", ";a=b", "a;b", "+", "-1"),
    *("0", "1.0", "1e3", "9" * 18, "9" * 19, "9" * 400, "a" * 3000, "null", "%27%22%3c", "*", "~"),
    *(quote("٣"), quote("ﬁ"), "0x1", "00000000-0000-0000-0000-000000000000", "{id}", "[1]"),
]
WITH_PARAMETERS = [operation for operation in OPERATIONS if "{" in operation.path]


def target(operation: Operation, value: str) -> str:
    """Return the path of an operation with a value in the place of each parameter."""
    parts = operation.path.split("/")
    return "/".join(value if part.startswith("{") else part for part in parts)


@pytest.mark.parametrize("operation", WITH_PARAMETERS, ids=lambda operation: operation.id)
def test_any_value_in_a_path_is_answered(api, operation):
    for value in VALUES:
        body = (b"Content-Type: application/json", b"Content-Length: 2")
        data = head(operation.method.upper(), target(operation, value), key_header(api), *body)
        (answer,) = check(api, data + b"{}")
        assert answer.status != 401


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_any_value_in_a_query_is_answered(api, operation):
    names = [each["name"] for each in operation.parameters() if each["in"] == "query"]
    for name in [*names, "%00", "a"]:
        for value in ["%00", "%ff", "%zz", "%ed%a0%80", "9" * 400, "a&" * 200, "%0d%0aa", "🙂"]:
            query = f"{target(operation, '1')}?{name}={value}".encode().decode("latin-1")
            check(api, head(operation.method.upper(), query, key_header(api)))


HEADERS = {
    "Accept": ["*", "a/b/c", "application/json;q=x", "text/html", ",,,", "*/*;q=0", "\xff"],
    "Accept-Encoding": ["gzip;q=0", "\xff", "*", ",", "gzip;q=9e99"],
    "Accept-Language": ["x" * 600, "de;q=9", "\xff"],
    "Authorization": [
        "",
        "Bearer",
        "Bearer \xff",
        "Basic YTpi",
        "Bearer a b",
        "Bearer " + "a" * 8000,
    ],
    "Content-Type": [
        *("application/json; charset=hex", "application/json; charset=\xff", "a", "/", "\xff"),
        *(
            "application/json; charset=utf-16",
            "application/json; charset=rot13",
            ";;;",
            "text/plain",
        ),
        *("application/json; charset*=utf-8''hex", "multipart/form-data", "application/yaml; a"),
        "application/x-www-form-urlencoded; charset=zlib",
    ],
    "Cookie": ["csrftoken=\xff", "sessionid=a; sessionid=b", "=;=", "messages=[[", '"'],
    "Host": ["", "\xff", "localhost:99999999", "a b", "[::1", "localhost:0", "evil.example"],
    "Idempotency-Key": ["", "\xff", '"', "a" * 300, "a b", '"a"'],
    "If-Match": ["", "\xff", '"', "*", 'W/"a"', '"a', ",", '"' + "a" * 5000 + '"'],
    "If-None-Match": ["", "\xff", '"', "*", 'W/"a"', '"a', ","],
    "If-Modified-Since": ["\xff", "yesterday", "Mon, 99 Foo 0000 99:99:99 GMT"],
    "Origin": ["null", "\xff", "http://["],
    "Range": ["bytes=a-b", "bytes=-1", "\xff"],
    "Referer": ["\xff", "http://["],
    "X-Forwarded-For": ["\xff", ",,,", "::1%", "unknown"],
    "X-Forwarded-Proto": ["https", "\xff", "gopher"],
    "X-Request-Id": ["\xff", "a b", "a" * 200, ""],
    "SCRIPT_NAME": ["/api", "/evil"],
    "X-HTTP-Method-Override": ["DELETE", "\xff"],
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_any_header_is_answered(api, operation):
    random = Random(f"{SEED} {operation.id}")
    for name, values in HEADERS.items():
        lines = [key_header(api)] if name != "Authorization" else []
        lines += [f"{name}: {random.choice(values)}".encode("latin-1")]
        if name == "Host":
            data = head(operation.method.upper(), target(operation, "1"), *lines)
            data = data.replace(b"Host: localhost\r\n", b"", 1)
        else:
            data = head(operation.method.upper(), target(operation, "1"), *lines)
        check(api, data)


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/readyz", "/openapi.yaml", "/docs/", "/redoc/"]
)
@pytest.mark.parametrize(
    "method",
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "SPAM"],
)
def test_any_method_of_a_page_is_answered(api, method, path):
    for name, values in HEADERS.items():
        for value in values[:2]:
            if name != "Host":
                check(api, head(method, path, f"{name}: {value}".encode("latin-1")))
