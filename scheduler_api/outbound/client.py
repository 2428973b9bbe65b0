"""HTTP client for URLs from callers: it connects only to addresses that the guard has checked.

It uses Python's http.client, which follows no redirects and uses no proxies: both could connect to
other addresses. Its method `connect` alone decides the address.
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
    parse_url,
)

CONNECT_TIMEOUT_SECONDS = 5
DEFAULTS = {"User-Agent": "scheduler-api"}


class RequestNotSent(Exception):
    """The request got no response; the message is the reason, for people."""


@dataclass(frozen=True, kw_only=True)
class ClientResponse:
    """A response."""

    status: int
    headers: HTTPMessage
    body: bytes
    is_truncated: bool
    """Whether the body is longer than the part that was read."""


def is_success(status: int | None) -> bool:
    """Return whether a status is 2xx; False if there was no response."""
    return status is not None and HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


class CheckedConnection(HTTPConnection):
    """A connection to one of the checked addresses of a host.

    Over HTTPS, the certificate must match the name of the host.
    """

    def __init__(
        self, destination: Destination, addresses: Sequence[Address], *, deadline: float
    ) -> None:
        self.is_secure = destination.scheme == "https"
        self.default_port = PORTS[destination.scheme]  # omitted from the header Host
        super().__init__(destination.host, destination.port)
        self.addresses = addresses
        self.deadline = deadline
        # http.client drops its `sock` when a response closes the connection; abort() needs it.
        self.raw_socket: socket.socket | None = None

    def connect(self) -> None:
        """Connect to the first reachable address."""
        self.sock = self.raw_socket = self.connect_to_first_reachable()
        if self.is_secure:
            self.sock = self.raw_socket = tls_context().wrap_socket(
                self.sock, server_hostname=self.host
            )
        self.sock.settimeout(seconds_until(self.deadline))

    def connect_to_first_reachable(self) -> socket.socket:
        """Return a socket to the first reachable address; raise the error of the last one."""
        for number, address in enumerate(self.addresses, start=1):
            timeout_seconds = min(CONNECT_TIMEOUT_SECONDS, seconds_until(self.deadline))
            try:
                return socket.create_connection((str(address), self.port), timeout=timeout_seconds)
            except OSError:
                if number == len(self.addresses):
                    raise
        raise OSError("no address")

    def abort(self) -> None:
        """Abort a read or a write from another thread."""
        if self.raw_socket is not None:
            with suppress(OSError):
                # Not SSLSocket.shutdown, which discards TLS state that the reading thread uses.
                socket.socket.shutdown(self.raw_socket, socket.SHUT_RDWR)


def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout_seconds: float,
    max_response_bytes: int = 0,
) -> ClientResponse:
    """Send a request and return its response, all within `timeout_seconds`.

    Raise AddressRefused if the URL must not be called, and RequestNotSent if there is no
    response. At most `max_response_bytes` of the body are read, and not decompressed.
    """
    deadline = time.monotonic() + timeout_seconds
    destination = parse_url(url)
    try:
        addresses = addresses_of(destination, timeout_seconds=timeout_seconds)
    except Unresolvable as error:
        raise RequestNotSent(str(error)) from error
    connection = CheckedConnection(destination, addresses, deadline=deadline)
    # A socket's timeout applies to each read: one byte at a time would never exceed it.
    watchdog = Timer(seconds_until(deadline), connection.abort)
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
            received = response.read(max_response_bytes + 1) if max_response_bytes else b""
    except (OSError, HTTPException) as error:
        raise RequestNotSent(
            failure_reason(error, timeout_seconds=timeout_seconds, deadline=deadline)
        ) from error
    finally:
        watchdog.cancel()
        connection.close()
    if max_response_bytes and time.monotonic() >= deadline:
        raise RequestNotSent(timeout_reason(timeout_seconds))
    return ClientResponse(
        status=response.status,
        headers=response.headers,
        body=received[:max_response_bytes],
        is_truncated=len(received) > max_response_bytes,
    )


def seconds_until(deadline: float) -> float:
    """Return the seconds until a deadline, above 0, which would make a socket non-blocking."""
    return max(deadline - time.monotonic(), 0.001)


def failure_reason(error: Exception, *, timeout_seconds: float, deadline: float) -> str:
    """Return the reason of a failure, without internal addresses."""
    if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
        return timeout_reason(timeout_seconds)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of the host is not valid: {error.verify_message}."
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or type(error).__name__}."
    if isinstance(error, OSError):
        return f"The connection failed: {error.strerror or type(error).__name__}."
    return f"The response is not valid HTTP: {type(error).__name__}."


def timeout_reason(timeout_seconds: float) -> str:
    """Return the reason of a timeout."""
    return f"There was no response within {timeout_seconds:g} s."


@cache
def tls_context() -> ssl.SSLContext:
    """Return the TLS context, which trusts the system's certificate authorities."""
    return ssl.create_default_context()
