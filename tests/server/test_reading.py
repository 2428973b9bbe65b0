"""Requests are read from bytes however they are split; what HTTP forbids is a problem."""

from itertools import pairwise

import pytest
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from project.server.reading import MAX_HEAD_BYTES, RequestReader
from scheduler_api.http.problems import Problem

MAX_BODY = 1000
GET = b"GET /a%20b?c=d HTTP/1.1\r\nHost: h\r\nX-One: 1\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345"
OLD = b"GET /old HTTP/1.0\r\n\r\n"


def reader() -> RequestReader:
    cfg = Config()
    cfg.set("limit_request_line", 8190)
    return RequestReader(cfg, ("127.0.0.1", 1), max_body_bytes=MAX_BODY)


def read(*pieces: bytes) -> list[tuple[str, str, bytes]]:
    """Return the method, target and body of each request in these pieces."""
    found = []
    reading = reader()
    for piece in pieces:
        reading.feed(piece)
        while received := reading.next_request():
            found.append((received.request.method, received.request.uri, received.body))
    assert reading.is_idle
    return found


def problem_of(data: bytes) -> tuple[int, str]:
    reading = reader()
    reading.feed(data)
    with pytest.raises(Problem) as refused:
        list(iter(reading.next_request, None))
    return refused.value.status_code, refused.value.code


@given(
    requests=st.lists(st.sampled_from([GET, POST, OLD, b"\r\n" + GET]), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 300), max_size=8),
)
def test_requests_are_the_same_however_their_bytes_are_split(requests, cuts):
    stream = b"".join(requests)
    places = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    pieces = [stream[start:end] for start, end in pairwise(places)]

    assert read(*pieces) == [one for request in requests for one in read(request)]


def test_requests_are_the_same_byte_by_byte():
    assert read(*(bytes([byte]) for byte in GET + POST + OLD)) == [
        ("GET", "/a%20b?c=d", b""),
        ("POST", "/p", b"12345"),
        ("GET", "/old", b""),
    ]


@pytest.mark.parametrize("end", range(1, len(POST)))
def test_incomplete_request_is_awaited(end):
    reading = reader()

    reading.feed(POST[:end])

    assert reading.next_request() is None
    assert not reading.is_idle
    assert reading.awaits_body is (end >= POST.index(b"\r\n\r\n") + 4)


HOST = b"Host: h\r\n"


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01", 400, "bad_request"),  # TLS
        (b"\n", 400, "bad_request"),
        (b"\r\n\r\n", 400, "bad_request"),
        (b"GET /\r\n\r\n", 400, "bad_request"),  # HTTP/0.9
        (b"GET / HTTP/1.1\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: h\n\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n" + HOST + b" folded\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A\x00: b\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: \x00\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"no colon\r\n\r\n", 400, "bad_request"),
        (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
        (b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
        (b"GET http://[ HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
        (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: \xb2\r\n\r\n", 400, "bad_request"),
        (
            b"POST / HTTP/1.1\r\n" + HOST + 2 * b"Content-Length: 1\r\n" + b"\r\n",
            400,
            "bad_request",
        ),
        (
            b"POST / HTTP/1.1\r\n"
            + HOST
            + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "bad_request",
        ),
        (
            b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            411,
            "length_required",
        ),
        (
            b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: br\r\n\r\n",
            501,
            "unsupported_transfer_coding",
        ),
        (
            b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1001\r\n\r\n",
            413,
            "body_too_large",
        ),
        (
            b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
            400,
            "bad_request",
        ),
        (b"GET /" + b"a" * 8200, 414, "uri_too_long"),
        (b"GET /" + b"a" * 8200 + b" HTTP/1.1\r\n\r\n", 414, "uri_too_long"),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * MAX_HEAD_BYTES, 431, "head_too_large"),
        (b"GET / HTTP/1.1\r\n" + HOST + 200 * b"A: b\r\n" + b"\r\n", 431, "head_too_large"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 9000 + b"\r\n\r\n", 431, "head_too_large"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Expect: tea\r\n\r\n", 417, "expectation_failed"),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505, "unsupported_version"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad_request"),
        (b"GET / ICY/1.1\r\n" + HOST + b"\r\n", 505, "unsupported_version"),
        (GET + b"nonsense\r\n\r\n", 400, "bad_request"),
    ],
)
def test_bytes_that_http_forbids_are_a_problem(data, status, code):
    assert problem_of(data) == (status, code)


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda data: GET[:-2] + data))
def test_any_bytes_are_requests_or_a_problem(data):
    reading = reader()
    reading.feed(data)
    try:
        while reading.next_request():
            pass
    except Problem as problem:
        assert 400 <= problem.status_code < 600  # noqa: PT017


def test_header_named_like_a_variable_of_the_server_is_dropped():
    reading = reader()
    reading.cfg.set("forwarder_headers", "")
    reading.feed(b"GET /x HTTP/1.1\r\nHost: h\r\nSCRIPT_NAME: /x\r\nPATH_INFO: /y\r\n\r\n")

    received = reading.next_request()

    assert received is not None
    assert received.request.headers == [("HOST", "h")]
