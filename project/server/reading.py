"""Read requests from received bytes; what HTTP does not allow is a problem."""

import re
from dataclasses import dataclass
from typing import Any

from gunicorn.http import errors
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

from project.server.problems import (
    ExpectationFailed,
    HeadTooLarge,
    UnsupportedTransferCoding,
    UnsupportedVersion,
    UriTooLong,
)
from scheduler_api.http.problems import BadRequest, BodyTooLarge, LengthRequired, Problem

MAX_LINE_BYTES = 8190
MAX_HEAD_BYTES = 32 * 1024

END_OF_HEAD = b"\r\n\r\n"
BARE_LINE_FEED = re.compile(rb"(?:\A|[^\r])\n")
# Neither a method nor the empty line that may come before it begins with another byte.
FIRST_BYTE = re.compile(rb"[\r!-~]")


@dataclass(frozen=True, kw_only=True)
class Received:
    """A complete request: gunicorn's, and its whole body."""

    request: Any
    body: bytes


class RequestReader:
    """Reads the requests of one connection, however their bytes are split.

    gunicorn's own parser reads a head, once all of it is there; its reader of bodies would wait
    for the client, and a thread with it.
    """

    def __init__(self, cfg: Any, peer: Any, *, max_body_bytes: int) -> None:
        self.cfg = cfg
        self.peer = peer
        self.max_body_bytes = max_body_bytes
        self.buffer = bytearray()
        # The request whose body is awaited, and its length.
        self.request: Any = None
        self.body_length = 0
        self._searched = 0

    @property
    def is_idle(self) -> bool:
        """Whether no byte of the next request is there."""
        return self.request is None and not self.buffer

    @property
    def awaits_body(self) -> bool:
        """Whether a head is read and its body is not."""
        return self.request is not None

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self.buffer += data

    def next_request(self) -> Received | None:
        """Return the next request if all of it is there; raise Problem."""
        if self.request is None:
            end = self._end_of_head()
            if end is None:
                return None
            head = bytes(self.buffer[:end])
            del self.buffer[:end]
            self._searched = 0
            self.request = self._parse(head)
            self.body_length = self._length_of_body()
        if len(self.buffer) < self.body_length:
            return None
        received = Received(request=self.request, body=bytes(self.buffer[: self.body_length]))
        del self.buffer[: self.body_length]
        self.request = None
        return received

    def _end_of_head(self) -> int | None:
        """Return the length of the head; None if it is incomplete. Raise Problem."""
        buffer = self.buffer
        if buffer and not FIRST_BYTE.match(buffer):
            raise BadRequest("The connection does not begin with an HTTP/1.1 request. Send one.")
        found = buffer.find(END_OF_HEAD, max(0, self._searched - len(END_OF_HEAD) + 1))
        end = found + len(END_OF_HEAD) if found >= 0 else None
        line_end = buffer.find(b"\r\n", 2)  # 2: an empty line may come before the request line
        if (line_end if line_end >= 0 else len(buffer)) > MAX_LINE_BYTES + 2:
            raise UriTooLong(f"Send a request line of at most {MAX_LINE_BYTES} bytes.")
        if (end or len(buffer)) > MAX_HEAD_BYTES:
            raise HeadTooLarge(f"Send a head of at most {MAX_HEAD_BYTES} bytes.")
        # A head with such a line would never end as the parser reads it, and wait in vain.
        if BARE_LINE_FEED.search(buffer, max(0, self._searched - 1), end or len(buffer)):
            raise BadRequest("A line of the head ends with LF alone. End each with CRLF.")
        self._searched = len(buffer)
        return end

    def _parse(self, head: bytes) -> Any:
        try:
            return Request(self.cfg, IterUnreader([head]), self.peer)
        except (errors.ParseException, errors.NoMoreData, StopIteration) as error:
            raise problem_of(error) from error

    def _length_of_body(self) -> int:
        headers = dict(self.request.headers)
        if self.request.version >= (1, 1) and "HOST" not in headers:
            raise BadRequest("The request has no Host. Send this header.")
        if "TRANSFER-ENCODING" in headers:
            raise LengthRequired("Send the body with a Content-Length, not in chunks.")
        length = int(headers.get("CONTENT-LENGTH", 0))
        if length > self.max_body_bytes:
            raise BodyTooLarge(f"Send at most {self.max_body_bytes} bytes.")
        return length


# The texts are ours: gunicorn's repeat what was sent, which may be a secret.
PROBLEMS: dict[type[Exception], tuple[type[Problem], str]] = {
    errors.LimitRequestLine: (UriTooLong, f"Send a line of at most {MAX_LINE_BYTES} bytes."),
    errors.LimitRequestHeaders: (
        HeadTooLarge,
        "Send at most 100 headers, each of at most 8190 bytes.",
    ),
    errors.InvalidHTTPVersion: (UnsupportedVersion, "Send HTTP/1.1 or HTTP/1.0."),
    errors.UnsupportedTransferCoding: (
        UnsupportedTransferCoding,
        "Send the body as it is, with a Content-Length.",
    ),
    errors.ExpectationFailed: (ExpectationFailed, "Expect nothing, or 100-continue."),
    errors.InvalidRequestMethod: (BadRequest, "The method is no token of capital letters."),
    errors.InvalidRequestLine: (
        BadRequest,
        "The request line is not `METHOD target HTTP/1.1`, with a target in ASCII.",
    ),
    errors.ObsoleteFolding: (BadRequest, "A header goes on in a second line. Send it in one."),
    errors.InvalidHeaderName: (BadRequest, "The name of a header is no token."),
    errors.InvalidHeader: (
        BadRequest,
        "A header is malformed, contradicts another, or is sent twice though only one may be.",
    ),
    errors.InvalidSchemeHeaders: (BadRequest, "Two headers name different schemes."),
}


def problem_of(error: Exception) -> Problem:
    """Return the problem of a head that gunicorn's parser refuses."""
    problem, detail = PROBLEMS.get(type(error), (BadRequest, "The head is not one of HTTP/1.1."))
    return problem(detail)
