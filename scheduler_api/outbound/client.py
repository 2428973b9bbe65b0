"""Sends a request to where callers have told us to: to a checked address, and nowhere else.

Python's own http.client does it. It follows no redirect and knows of no proxy, which would connect
to where it likes; and its `connect` is the one place to say where to connect.
"""

import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPMessage
from threading import Timer

from scheduler_api.outbound.address_guard import (
    PORTS,
    Address,
    Destination,
    Unresolvable,
    addresses_of,
    read_url,
)

CONNECT_SECONDS = 5
DEFAULTS = {"User-Agent": "scheduler-api"}


class NotSent(Exception):
    """There was no answer; the message says why, for people."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: HTTPMessage
    body: bytes
    is_truncated: bool
    """Whether the body was longer than what was read of it."""


def is_success(status: int | None) -> bool:
    """Tell whether a status, where there was an answer, is 2xx."""
    return status is not None and HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


class CheckedConnection(HTTPConnection):
    """A connection to one of some addresses, which stand for the name of their host.

    Over HTTPS the certificate must be one of that name.
    """

    def __init__(
        self, destination: Destination, addresses: Sequence[Address], *, deadline: float
    ) -> None:
        self.is_secure = destination.scheme == "https"
        self.default_port = PORTS[destination.scheme]  # which the header Host leaves out
        super().__init__(destination.host, destination.port)
        self.addresses = addresses
        self.deadline = deadline
        # http.client lets go of its own `sock` when an answer is to be the last one.
        self.wire: socket.socket | None = None

    def connect(self) -> None:
        """Connect to the first address that answers."""
        self.sock = self.wire = self.first_that_answers()
        if self.is_secure:
            self.sock = self.wire = tls().wrap_socket(self.sock, server_hostname=self.host)
        self.sock.settimeout(left_until(self.deadline))

    def first_that_answers(self) -> socket.socket:
        """Return a socket to one of the addresses; raise what the last one fails with."""
        for number, address in enumerate(self.addresses, start=1):
            within = min(CONNECT_SECONDS, left_until(self.deadline))
            try:
                return socket.create_connection((str(address), self.port), timeout=within)
            except OSError:
                if number == len(self.addresses):
                    raise
        raise OSError("no address")

    def cut(self) -> None:
        """End what is being read or written, from another thread."""
        if self.wire is not None:
            with suppress(OSError):
                # Not the method of ssl, which takes the connection apart under its reader.
                socket.socket.shutdown(self.wire, socket.SHUT_RDWR)


def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None,
    within: float,
    max_answer_bytes: int = 0,
) -> Answer:
    """Send a request and return the answer, all of it within so many seconds.

    Raise destinations.Refused if it may not go there, and NotSent where nobody has answered. Of
    the body no more is read than so many bytes, and it is not unpacked.
    """
    deadline = time.monotonic() + within
    destination = read_url(url)
    try:
        addresses = addresses_of(destination, within=within)
    except Unresolvable as error:
        raise NotSent(str(error)) from error
    connection = CheckedConnection(destination, addresses, deadline=deadline)
    # A socket's own time limit is for each read: who answers byte by byte would never be late.
    watchdog = Timer(left_until(deadline), connection.cut)
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.request(
            method,
            destination.target,
            body=body,
            headers={**DEFAULTS, **headers, "Connection": "close"},
        )
        with connection.getresponse() as response:
            received = response.read(max_answer_bytes + 1) if max_answer_bytes else b""
    except (OSError, HTTPException) as error:
        raise NotSent(explained(error, within=within, deadline=deadline)) from error
    finally:
        watchdog.cancel()
        connection.close()
    if max_answer_bytes and time.monotonic() >= deadline:
        raise NotSent(too_late(within))
    return Answer(
        status=response.status,
        headers=response.headers,
        body=received[:max_answer_bytes],
        is_truncated=len(received) > max_answer_bytes,
    )


def left_until(deadline: float) -> float:
    """Return how many seconds are left: a socket takes 0 for one that never waits."""
    return max(deadline - time.monotonic(), 0.001)


def explained(error: Exception, *, within: float, deadline: float) -> str:
    """Say why there was no answer, without addresses of ours."""
    if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
        return too_late(within)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate is not one of this host: {error.verify_message}."
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or type(error).__name__}."
    if isinstance(error, OSError):
        return f"The connection failed: {error.strerror or type(error).__name__}."
    return f"What came back is no HTTP: {type(error).__name__}."


def too_late(within: float) -> str:
    """Say that the time is up."""
    return f"There was no answer within {within:g} s."


@cache
def tls() -> ssl.SSLContext:
    """Return what certificates are checked against: the authorities that the system trusts."""
    return ssl.create_default_context()
