"""A proxy between a client and PostgreSQL that counts the client's queries."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

# Frontend messages: a simple query, and the execution of a prepared or parsed one.
QUERY, EXECUTE = ord("Q"), ord("E")
CHUNK = 1 << 16
# Encrypted queries cannot be counted.
PLAIN = {"PGSSLMODE": "disable", "PGGSSENCMODE": "disable"}


class Tap:
    """Counts the queries of all clients of `url`, BEGIN and COMMIT included."""

    def __init__(self, server: str) -> None:
        parts = urlsplit(server)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        login, at, _ = parts.netloc.rpartition("@")
        port = self._listener.getsockname()[1]
        self.url = urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{port}"))
        self.queries = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for work in (self._forward, self._answer):
                    threading.Thread(target=work, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        left = -1  # bytes left of the current message; the first message has no type
        head = b""
        with suppress(OSError):
            while data := client.recv(CHUNK):
                server.sendall(data)
                at = 0
                while at < len(data):
                    if left > 0:
                        step = min(left, len(data) - at)
                        left, at = left - step, at + step
                        continue
                    size = 4 if left < 0 else 5
                    step = min(size - len(head), len(data) - at)
                    head, at = head + data[at : at + step], at + step
                    if len(head) == size:
                        self.queries += size > 4 and head[0] in {QUERY, EXECUTE}  # noqa: PLR2004
                        left, head = int.from_bytes(head[-4:], "big") - 4, b""
        shut(server)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(CHUNK):
                client.sendall(data)
        shut(client)


def shut(link: socket.socket) -> None:
    with suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)


@contextmanager
def tap(server: str) -> Iterator[Tap]:
    tapped = Tap(server)
    try:
        yield tapped
    finally:
        tapped.close()
