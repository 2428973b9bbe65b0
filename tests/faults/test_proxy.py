"""The proxy can be frozen, cut and slowed down."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.proxy import Proxy


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(1024):
            self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Proxy(server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()


@pytest.fixture
def connection(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=2) as connection:
        assert echo(connection) == b"hello"
        yield connection


def echo(connection: socket.socket) -> bytes:
    connection.sendall(b"hello")
    return connection.recv(1024)


def is_closed(connection: socket.socket) -> bool:
    try:
        return echo(connection) == b""
    except ConnectionError:
        return True


def is_refused(proxy: Proxy) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=2) as connection:
            return is_closed(connection)
    except ConnectionError:
        return True


def test_frozen_proxy_forwards_nothing_and_loses_nothing(
    proxy: Proxy, connection: socket.socket
) -> None:
    connection.settimeout(0.2)
    proxy.freeze()
    with pytest.raises(TimeoutError):
        echo(connection)

    proxy.thaw()

    connection.settimeout(2)
    assert connection.recv(1024) == b"hello"


def test_cut_proxy_resets_connections(proxy: Proxy, connection: socket.socket) -> None:
    proxy.cut()

    assert is_closed(connection)


def test_cut_proxy_refuses_connections_until_restored(proxy: Proxy) -> None:
    proxy.cut()
    assert is_refused(proxy)

    proxy.restore()

    assert not is_refused(proxy)


def test_data_frozen_when_the_proxy_is_cut_is_lost(
    proxy: Proxy, connection: socket.socket
) -> None:
    proxy.freeze()
    connection.sendall(b"lost")
    proxy.cut()
    proxy.restore()

    with socket.create_connection(("127.0.0.1", proxy.port), timeout=2) as another:
        assert echo(another) == b"hello"


def test_slow_proxy_delays_data(proxy: Proxy, connection: socket.socket) -> None:
    proxy.delay_seconds = 0.1
    before = time.monotonic()

    assert echo(connection) == b"hello"
    assert time.monotonic() - before >= 0.2
