"""The link that tests freeze, cut and slow down."""

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
def link(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=2) as link:
        assert echo(link) == b"hello"
        yield link


def echo(link: socket.socket) -> bytes:
    link.sendall(b"hello")
    return link.recv(1024)


def is_over(link: socket.socket) -> bool:
    try:
        return echo(link) == b""
    except ConnectionError:
        return True


def is_refused(proxy: Proxy) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=2) as link:
            return is_over(link)
    except ConnectionError:
        return True


def test_a_frozen_link_says_nothing_and_loses_nothing(proxy: Proxy, link: socket.socket) -> None:
    link.settimeout(0.2)
    proxy.freeze()
    with pytest.raises(TimeoutError):
        echo(link)

    proxy.thaw()

    link.settimeout(2)
    assert link.recv(1024) == b"hello"


def test_a_cut_link_is_over(proxy: Proxy, link: socket.socket) -> None:
    proxy.cut()

    assert is_over(link)


def test_nobody_connects_over_a_cut_link_until_it_is_mended(proxy: Proxy) -> None:
    proxy.cut()
    assert is_refused(proxy)

    proxy.restore()

    assert not is_refused(proxy)


def test_what_was_frozen_when_the_link_was_cut_is_lost(proxy: Proxy, link: socket.socket) -> None:
    proxy.freeze()
    link.sendall(b"lost")
    proxy.cut()
    proxy.restore()

    with socket.create_connection(("127.0.0.1", proxy.port), timeout=2) as another:
        assert echo(another) == b"hello"


def test_a_slow_link_is_slow(proxy: Proxy, link: socket.socket) -> None:
    proxy.delay_seconds = 0.1
    before = time.monotonic()

    assert echo(link) == b"hello"
    assert time.monotonic() - before >= 0.2
