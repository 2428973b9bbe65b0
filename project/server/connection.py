"""One connection to a client: its phase, its deadline, and what it holds in memory."""

import socket
import struct
from concurrent.futures import Future
from contextlib import suppress
from enum import Enum
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from project.server.outgoing import Outgoing
from project.server.reading import Received, RequestReader

CHUNK = 64 * 1024

# Each has one deadline for all of it, however many bytes arrive meanwhile. Per byte above 64 KiB,
# bodies and answers get more time: a phone's connection sends 64 KiB/s.
HEAD_SECONDS = 10.0
TRANSFER_SECONDS = 20.0
BYTES_PER_SECOND = 64 * 1024
# How long a refused client may go on sending before the connection is closed. If it were closed
# at once, unread bytes would make the kernel throw the refusal away.
CLOSING_SECONDS = 2.0
CLOSING_BYTES = 64 * 1024


class Phase(Enum):
    """What the connection waits for."""

    REQUEST = "request"  # the client: the rest of a head or body, or the next request
    HANDLING = "handling"  # a thread
    ANSWER = "answer"  # the client, to take the rest of the answer
    CLOSING = "closing"  # the client, to close its side


class Connection:
    """A client's connection. The main thread owns it, except in the phase HANDLING."""

    def __init__(
        self, sock: socket.socket, peer: Any, server: Any, reader: RequestReader, *, now: float
    ) -> None:
        self.sock = sock
        self.peer = peer
        self.server = server
        self.reader = reader
        self.outgoing = Outgoing()
        self.address = client_network(peer)
        self.phase = Phase.REQUEST
        self.since = now
        self.deadline = now + HEAD_SECONDS
        self.watched = 0  # for which events of `selectors`
        self.handled: Future[bool] | None = None
        self.received: Received | None = None
        self.keeps_alive = False  # after the answer
        self.is_kept = False  # since an earlier answer
        self.is_closed = False
        self.ignored_bytes = 0  # in the phase CLOSING
        self.counted_bytes = 0  # by the table of connections

    @property
    def client(self) -> str:
        """The address of the peer; empty for a Unix socket."""
        return str(self.peer[0]) if isinstance(self.peer, tuple) else ""

    @property
    def held_bytes(self) -> int:
        """The bytes that the connection holds in memory."""
        handled = len(self.received.body) if self.received else 0
        return len(self.reader.buffer) + self.outgoing.size + handled

    def enter(self, phase: Phase, *, now: float, seconds: float) -> None:
        """Move to a phase, which may last this long."""
        self.phase = phase
        self.since = now
        self.deadline = now + seconds

    def stop_waiting(self) -> None:
        """Give up the wait for a thread; a thread that has begun goes on."""
        if self.handled:
            self.handled.cancel()

    def receive(self) -> bytes | None:
        """Return what has arrived; empty if the client has ended its side, None for nothing."""
        try:
            return self.sock.recv(CHUNK)
        except BlockingIOError:
            return None

    def await_body(self, *, now: float) -> None:
        """Set the deadline of the whole body, and ask for it if the client waits to be asked."""
        self.deadline = now + seconds_for(self.reader.body_length)
        if self.reader.request._expected_100_continue:
            # Nothing is on its way, so that the kernel takes these few bytes.
            self.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def close(self) -> None:
        """Close it, and forget what was still to be sent."""
        if self.outgoing:
            # Otherwise the kernel would keep what it has taken for a client that reads slowly.
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.outgoing.clear()
        self.sock.close()
        self.is_closed = True

    def end_own_side(self) -> None:
        """Tell the client that nothing more will come."""
        with suppress(OSError):  # the client may have closed all of it
            self.sock.shutdown(socket.SHUT_WR)


def seconds_for(size: int) -> float:
    """Return how long a body or an answer of this size may take."""
    return TRANSFER_SECONDS + size / BYTES_PER_SECOND


def client_network(peer: Any) -> str:
    """Return what the bound per address counts: an IPv4 address, or a network of IPv6.

    A caller with IPv6 has a network of 2^64 addresses. Empty for a Unix socket.
    """
    if not isinstance(peer, tuple):
        return ""
    address = ip_address(peer[0].partition("%")[0])
    if isinstance(address, IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
