"""A TCP proxy that a test can freeze and cut, and through which it can send data."""

import select
import socket
import threading
from typing import Self


class Proxy:
    """Forwards data between clients and a server."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._frozen: set[str] = set()
        self._refusing = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join(10)
        self.cut()
        self._listener.close()

    def freeze(self, *directions: str) -> None:
        """Forward nothing in these directions: "up" to the server, "down" to the client."""
        self._frozen = set(directions or ("up", "down"))

    def thaw(self) -> None:
        self._frozen = set()

    def cut(self) -> None:
        """Close all connections."""
        with self._lock:
            for pair in self._pairs:
                for end in pair:
                    end.close()
            self._pairs.clear()

    def refuse(self, refusing: bool = True) -> None:
        """Close every new connection."""
        self._refusing = refusing

    def say(self, data: bytes) -> None:
        """Send bytes to all clients, as if the server had sent them."""
        with self._lock:
            for client, _ in self._pairs:
                client.sendall(data)

    def _run(self) -> None:
        while not self._ended:
            with self._lock:
                ends = {end: pair for pair in self._pairs for end in pair}
            wanted = [
                end
                for end, (client, _) in ends.items()
                if ("up" if end is client else "down") not in self._frozen
            ]
            try:
                ready, _, _ = select.select([self._listener, *wanted], [], [], 0.02)
            except (OSError, ValueError):  # cut meanwhile
                continue
            for end in ready:
                if end is self._listener:
                    self._accept()
                else:
                    self._pass_on(end, ends[end])

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self._refusing:
            client.close()
            return
        with self._lock:
            self._pairs.append((client, socket.create_connection(self._server)))

    def _pass_on(self, end: socket.socket, pair: tuple[socket.socket, socket.socket]) -> None:
        other = pair[1] if end is pair[0] else pair[0]
        try:
            data = end.recv(65536)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        with self._lock:
            if pair in self._pairs:
                self._pairs.remove(pair)
        end.close()
        other.close()
