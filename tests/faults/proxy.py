"""A link to a server, over TCP, that a test can freeze, cut and slow down."""

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

CHUNK_BYTES = 65536
POLL_SECONDS = 0.05
# On close, a reset rather than a goodbye: SO_LINGER, for no time.
AT_ONCE = struct.pack("ii", 1, 0)


class Proxy:
    """Passes on what is sent to its port, both ways, for as long as the link is whole.

    Frozen, it says nothing and takes no more than the buffers do, as a firewall does that drops
    packets. Cut, it resets all connections and refuses new ones.
    """

    def __init__(self, to_port: int) -> None:
        self.to_port = to_port
        self.delay_seconds = 0.0
        self.sockets: set[socket.socket] = set()
        self.flows = threading.Event()
        self.flows.set()
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
        self.flows.clear()

    def thaw(self) -> None:
        self.flows.set()

    def cut(self) -> None:
        """Reset all connections; what was not passed on by now is lost."""
        self.is_cut = True
        for each in list(self.sockets):
            reset(each)
        self.sockets.clear()
        self.flows.set()

    def mend(self) -> None:
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
                inner, _ = self.listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            threading.Thread(target=self.connect, args=[inner], daemon=True).start()

    def connect(self, inner: socket.socket) -> None:
        while not self.flows.wait(POLL_SECONDS):
            if self.is_closed:
                return reset(inner)
        try:
            outer = socket.create_connection(("127.0.0.1", self.to_port))
        except OSError:
            return reset(inner)
        self.sockets |= {inner, outer}
        if self.is_cut:
            reset(inner)
            return reset(outer)
        for source, sink in ((inner, outer), (outer, inner)):
            threading.Thread(target=self.pass_on, args=[source, sink], daemon=True).start()
        return None

    def pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                time.sleep(self.delay_seconds)
                self.flows.wait()
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
            self.sockets.discard(each)


def reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        # Which wakes the thread that reads from it; closing alone does not.
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
