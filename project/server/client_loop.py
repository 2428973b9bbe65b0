"""The loop that talks to all clients of a process: it reads, sends and closes without waiting."""

import errno
import selectors
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from project.server.connection import (
    CLOSING_BYTES,
    CLOSING_SECONDS,
    HEAD_SECONDS,
    Connection,
    Phase,
    seconds_for,
)
from project.server.connections import Connections
from project.server.problems import Overloaded, RequestTimeout
from project.server.reading import RequestReader
from project.server.refusals import refusal
from scheduler_api.http.problems import BadRequest, Problem

# How many connections are accepted before the others are served again.
ACCEPTED_AT_ONCE = 50
CHECK_SECONDS = 0.5
# Errors of `accept` for want of a descriptor or of memory.
SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class ClientLoop:
    """Moves connections from phase to phase; only its own thread may call it.

    `handle` is called with a connection whose request is complete, in `connection.received`. When
    the answer is in `connection.outgoing`, `send` takes the connection back.
    """

    def __init__(
        self,
        cfg: Any,
        connections: Connections,
        handle: Callable[[Connection], None],
        *,
        max_body_bytes: int,
    ) -> None:
        self.cfg = cfg
        self.connections = connections
        self.handle = handle
        self.max_body_bytes = max_body_bytes
        # How long a connection may wait for its next request.
        self.idle_seconds = float(cfg.keepalive)
        self.poller = selectors.DefaultSelector()
        self._next_check = 0.0

    def listen(self, listener: socket.socket) -> None:
        """Accept connections of a listener."""
        listener.setblocking(False)
        accept = partial(self.accept, listener, listener.getsockname())
        self.poller.register(listener, selectors.EVENT_READ, accept)

    def call_when_readable(self, file: Any, callback: Callable[[], None]) -> None:
        """Call this whenever the file is readable."""
        self.poller.register(file, selectors.EVENT_READ, callback)

    def turn(self) -> None:
        """Do all that is possible now; wait up to a second if that is nothing."""
        for key, _ in self.poller.select(CHECK_SECONDS):
            key.data()
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + CHECK_SECONDS
            self.end_overdue(now)

    def close_idle_within(self, seconds: float) -> None:
        """Give up waiting for heads: for those under way and, from now on, for the next ones."""
        self.idle_seconds = seconds
        end = time.monotonic() + seconds
        for each in self.connections:
            if each.phase is Phase.REQUEST and not each.reader.awaits_body:
                each.deadline = min(each.deadline, end)

    # --- New connections -----------------------------------------------------------------------

    def accept(self, listener: socket.socket, server: Any) -> None:
        """Accept new connections; others give way to them if there are too many."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, peer = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in SHORTAGES:
                    raise
                self.make_room()
                return
            sock.setblocking(False)
            reader = RequestReader(self.cfg, peer, max_body_bytes=self.max_body_bytes)
            connection = Connection(sock, peer, server, reader, now=time.monotonic())
            self.connections.add(connection)
            self.watch(connection, selectors.EVENT_READ)
            while other := self.connections.one_too_many(connection):
                self.give_way(other)

    def make_room(self) -> None:
        """Close a connection for want of descriptors."""
        if other := self.connections.longest_waiting():
            self.give_way(other)
        else:
            time.sleep(0.01)  # until a thread is done; the listener would end each wait at once

    def give_way(self, connection: Connection) -> None:
        """Close a connection in favour of others."""
        if connection.phase is Phase.REQUEST and not connection.reader.is_idle:
            self.refuse(connection, Overloaded("Send the request again, all of it at once."))
        self.drop(connection)

    # --- Reading -------------------------------------------------------------------------------

    def read(self, connection: Connection) -> None:
        """Receive, and go on with the request if all of it is there."""
        try:
            data = connection.receive()
        except OSError:
            self.drop(connection)
            return
        if data is None:
            return
        if connection.phase is Phase.CLOSING:
            connection.ignored_bytes += len(data)
            if not data or connection.ignored_bytes > CLOSING_BYTES:
                self.drop(connection)
        elif data:
            if connection.is_kept and connection.reader.is_idle:
                connection.enter(Phase.REQUEST, now=time.monotonic(), seconds=HEAD_SECONDS)
            connection.reader.feed(data)
            self.advance(connection)
            self.count_bytes(connection)
        elif connection.reader.is_idle:
            self.drop(connection)
        else:
            self.refuse(connection, BadRequest("The connection ended within the request."))

    def advance(self, connection: Connection) -> None:
        """Have the next request handled if it is complete, or wait for more of it."""
        reader = connection.reader
        awaited_body = reader.awaits_body
        now = time.monotonic()
        try:
            connection.received = reader.next_request()
            if reader.awaits_body and not awaited_body:
                connection.await_body(now=now)
        except Problem as problem:
            self.refuse(connection, problem)
        except OSError:
            self.drop(connection)
        else:
            if connection.received:
                self.watch(connection, 0)
                self.handle(connection)
            else:
                self.watch(connection, selectors.EVENT_READ)

    # --- Sending -------------------------------------------------------------------------------

    def refuse(self, connection: Connection, problem: Problem) -> None:
        """Send a refusal, and close the connection afterwards."""
        request = connection.received.request if connection.received else connection.reader.request
        connection.received = None
        connection.outgoing.sendall(refusal(problem, request, client=connection.client))
        connection.keeps_alive = False
        self.send(connection)

    def send(self, connection: Connection) -> None:
        """Send the answer; when all of it is sent, go on with the next request or close."""
        try:
            connection.outgoing.flush(connection.sock)
        except OSError:
            self.drop(connection)
            return
        now = time.monotonic()
        outgoing = connection.outgoing
        if outgoing:
            if connection.phase is not Phase.ANSWER:
                seconds = seconds_for(outgoing.remaining)
                connection.enter(Phase.ANSWER, now=now, seconds=seconds)
                self.watch(connection, selectors.EVENT_WRITE)
            self.count_bytes(connection)
        elif connection.keeps_alive:
            connection.is_kept = True
            is_idle = connection.reader.is_idle
            seconds = self.idle_seconds if is_idle else HEAD_SECONDS
            connection.enter(Phase.REQUEST, now=now, seconds=seconds)
            self.advance(connection)
        else:
            connection.end_own_side()
            connection.reader.buffer.clear()
            connection.enter(Phase.CLOSING, now=now, seconds=CLOSING_SECONDS)
            self.watch(connection, selectors.EVENT_READ)

    # --- Bounds --------------------------------------------------------------------------------

    def count_bytes(self, connection: Connection) -> None:
        """Count what a connection holds; the largest gives way if all hold too much."""
        self.connections.count_bytes(connection)
        while other := self.connections.heaviest():
            self.give_way(other)

    def end_overdue(self, now: float) -> None:
        """End each connection that has passed its deadline."""
        for each in self.connections:
            if now < each.deadline:
                continue
            if each.phase is Phase.HANDLING:
                each.deadline = float("inf")
                each.stop_waiting()
            elif each.phase is Phase.REQUEST and not each.reader.is_idle:
                self.refuse(each, RequestTimeout("Send the whole request at once."))
            else:
                self.drop(each)

    def watch(self, connection: Connection, events: int) -> None:
        """Wait for these events of a connection from now on."""
        if events == connection.watched:
            return
        callback = self.read if events == selectors.EVENT_READ else self.send
        if not events:
            self.poller.unregister(connection.sock)
        elif connection.watched:
            self.poller.modify(connection.sock, events, partial(callback, connection))
        else:
            self.poller.register(connection.sock, events, partial(callback, connection))
        connection.watched = events

    def drop(self, connection: Connection) -> None:
        """Close a connection; twice does no harm."""
        if connection.is_closed:
            return
        self.watch(connection, 0)
        self.connections.remove(connection)
        connection.close()
