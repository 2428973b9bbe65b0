"""The loop that talks to clients: deadlines, refusals and closed connections, without gunicorn."""

import os
import socket
import tempfile
import threading
from collections.abc import Iterator

import pytest
from gunicorn.config import Config

from project.server import client_loop, connection
from project.server.client_loop import ClientLoop
from project.server.connection import Connection, Phase
from project.server.connections import Connections
from scheduler_api.self_pipe import SelfPipe
from tests.processes import wait_until
from tests.server.sockets import answers_in, connect, receive_all

POST = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
GET = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """A loop in a thread, which answers each request with `answer` at once."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.answer = OK
        self.file: int | None = None
        self.bodies: list[bytes] = []
        self.holds = False
        self.held: list[Connection] = []
        self.loop = ClientLoop(Config(), connections, self.handle, max_body_bytes=10**6)
        self.loop.listen(self.listener)
        self.waker = SelfPipe()
        self.loop.call_when_readable(self.waker, self.waker.drain)
        self.done = False
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.done:
            self.loop.turn()

    def handle(self, connection: Connection) -> None:
        assert connection.received
        self.bodies.append(connection.received.body)
        if self.holds:
            connection.enter(Phase.HANDLING, now=0, seconds=float("inf"))
            self.held.append(connection)
            return
        connection.received = None
        connection.outgoing.sendall(self.answer)
        if self.file is not None:
            with os.fdopen(os.dup(self.file), "rb") as file:
                connection.outgoing.sendfile(file, 0, os.fstat(self.file).st_size)
        connection.keeps_alive = True
        self.loop.send(connection)

    def stop(self) -> None:
        self.done = True
        self.waker.wake()
        self.thread.join()
        for each in self.connections:
            self.loop.drop(each)
        self.listener.close()
        self.loop.poller.close()
        self.waker.close()


@pytest.fixture
def connections() -> Connections:
    return Connections(at_most=4, per_address=3, max_bytes=300_000)


@pytest.fixture
def server(monkeypatch, connections) -> Iterator[Server]:
    """A loop whose deadlines are tenths of seconds."""
    for name, seconds in {
        "HEAD_SECONDS": 0.5,
        "CLOSING_SECONDS": 0.3,
        "CHECK_SECONDS": 0.05,
    }.items():
        monkeypatch.setattr(client_loop, name, seconds)
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(connection, "TRANSFER_SECONDS", 0.5)
    monkeypatch.setattr(connection, "BYTES_PER_SECOND", 10**8)
    started = Server(connections)
    started.thread.start()
    yield started
    started.stop()


def codes(data: bytes) -> list[str]:
    return [answer.json["code"] for answer in answers_in(data)]


@pytest.mark.parametrize("sent", [GET[:20], GET[:-2], POST, POST + b"123"])
def test_request_that_does_not_end_is_refused_and_its_connection_closed(server, sent):
    with connect(server.port) as client:
        client.sendall(sent)

        assert codes(receive_all(client)) == ["request_timeout"]


@pytest.mark.parametrize("sent", [b"", GET])
def test_idle_connection_is_closed_without_a_word(server, sent):
    server.loop.idle_seconds = 0.2
    with connect(server.port) as client:
        client.sendall(sent)

        assert receive_all(client) == (OK if sent else b"")


def test_byte_now_and_then_does_not_move_the_deadline(server):
    with connect(server.port) as client:
        client.settimeout(0.05)
        client.sendall(GET[:20])
        received = b""
        while not received:
            client.sendall(b"a")
            try:
                received = client.recv(65536)
            except TimeoutError:
                continue

    assert codes(received) == ["request_timeout"]


@pytest.mark.parametrize("sent", [GET[:20], POST, POST + b"123"])
def test_end_within_a_request_is_refused(server, sent):
    with connect(server.port) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)

        assert codes(receive_all(client)) == ["bad_request"]


def test_pipelined_requests_are_answered_in_order(server):
    with connect(server.port) as client:
        client.sendall(POST + b"first" + POST + b"other" + GET)
        client.shutdown(socket.SHUT_WR)

        assert receive_all(client) == 3 * OK

    assert server.bodies == [b"first", b"other", b""]


def test_client_that_waits_to_be_asked_for_its_body_is_asked(server):
    with connect(server.port) as client:
        client.sendall(POST[:-2] + b"Expect: 100-continue\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"12345")
        client.shutdown(socket.SHUT_WR)

        assert receive_all(client) == OK


def test_answer_that_nobody_reads_is_given_up(server, connections):
    server.answer = OK + bytes(10_000_000)
    connections.max_bytes = 10**8
    with connect(server.port) as client:
        client.sendall(GET)
        wait_until(lambda: server.bodies)

        wait_until(lambda: not len(connections))

    assert connections.held_bytes == 0


def test_long_answer_and_file_arrive_whole(server, connections):
    connections.max_bytes = 10**8
    server.answer = bytes(range(256)) * 40_000
    with tempfile.TemporaryFile() as file, connect(server.port) as client:
        file.write(b"file" * 1_000_000)
        file.flush()
        server.file = file.fileno()
        client.sendall(GET)
        client.shutdown(socket.SHUT_WR)

        assert receive_all(client) == server.answer + b"file" * 1_000_000


def connect_and_begin(server: Server) -> socket.socket:
    """Open a connection, and wait until the server has half a head of it."""
    client = connect(server.port)
    client.sendall(GET[:20])
    _, port = client.getsockname()
    wait_until(lambda: [e for e in server.connections if e.peer[1] == port and e.reader.buffer])
    return client


def test_oldest_connection_gives_way_to_a_new_one(server, connections):
    clients = [connect_and_begin(server) for _ in range(5)]
    newest = connect(server.port)
    newest.sendall(GET)
    newest.shutdown(socket.SHUT_WR)

    assert receive_all(newest) == OK
    assert [codes(receive_all(client)) for client in clients[:3]] == 3 * [["overloaded"]]
    for client in (*clients, newest):
        client.close()


def test_largest_body_gives_way_when_memory_is_short(server, connections):
    head = POST.replace(b": 5", b": 900000")
    with connect(server.port) as large, connect(server.port) as small:
        small.sendall(GET[:20])
        large.sendall(head + bytes(400_000))

        assert codes(receive_all(large)) in (["overloaded"], [])
        small.sendall(GET[20:])
        small.shutdown(socket.SHUT_WR)
        assert receive_all(small) == OK

    wait_until(lambda: not len(connections))
    assert connections.held_bytes == 0


def test_handled_request_keeps_its_connection(server, connections):
    server.holds = True
    clients = [connect(server.port) for _ in range(3)]
    for client in clients:
        client.sendall(GET)
    wait_until(lambda: len(server.held) == 3)

    with connect(server.port) as one_more:
        assert receive_all(one_more) == b""

    assert len(connections) == 3
    for client in clients:
        client.close()
