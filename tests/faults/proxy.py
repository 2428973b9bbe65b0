"""A TCP proxy to a server. A test can freeze it, cut it and slow it down."""

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

CHUNK_BYTES = 65536
POLL_SECONDS = 0.05
# SO_LINGER with a timeout of zero: close with a reset (RST) instead of FIN.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards data between its port and the server in both directions.

    A frozen proxy forwards nothing and accepts only as much as the buffers hold, like a firewall
    that drops packets. A cut proxy resets all connections and refuses new ones.
    """

    def __init__(self, to_port: int) -> None:
        self.to_port = to_port
        self.delay_seconds = 0.0
        self.sockets: set[socket.socket] = set()
        self.is_flowing = threading.Event()
        self.is_flowing.set()
        self.is_cut = self.is_closed = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def freeze(self) -> None:
        self.is_flowing.clear()

    def thaw(self) -> None:
        self.is_flowing.set()

    def cut(self) -> None:
        """Reset all connections. Data not yet forwarded is lost."""
        self.is_cut = True
        for each in list(self.sockets):
            reset(each)
        self.sockets.clear()
        self.is_flowing.set()

    def restore(self) -> None:
        self.is_cut = False

    def close(self) -> None:
        self.is_closed = True
        self.cut()
        self.listener.close()
        self.thread.join(timeout=5)

    def serve(self) -> None:
        self.listener.settimeout(POLL_SECONDS)
        while not self.is_closed:
            try:
                client, _ = self.listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            threading.Thread(target=self.connect, args=[client], daemon=True).start()

    def connect(self, client: socket.socket) -> None:
        while not self.is_flowing.wait(POLL_SECONDS):
            if self.is_closed:
                return reset(client)
        try:
            upstream = socket.create_connection(("127.0.0.1", self.to_port))
        except OSError:
            return reset(client)
        self.sockets |= {client, upstream}
        if self.is_cut:
            reset(client)
            return reset(upstream)
        for source, sink in ((client, upstream), (upstream, client)):
            threading.Thread(target=self.forward, args=[source, sink], daemon=True).start()
        return None

    def forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                time.sleep(self.delay_seconds)
                self.is_flowing.wait()
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
            self.sockets.discard(each)


def reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        # Wakes the thread that reads from the socket; closing it does not.
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
