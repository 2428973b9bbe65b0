"""The answer that a connection has still to send."""

import os
import socket
from collections import deque
from dataclasses import dataclass
from typing import IO

BUFFERS_PER_CALL = 16


@dataclass
class FilePart:
    """A part of a file, which the kernel sends without a copy in this process."""

    descriptor: int
    offset: int
    count: int


class Outgoing:
    """Takes what gunicorn's Response writes, as a socket would, and sends it without waiting.

    `size` counts the bytes held in memory; a file counts nothing.
    """

    def __init__(self) -> None:
        self.parts: deque[memoryview | FilePart] = deque()
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self.parts)

    @property
    def remaining(self) -> int:
        """The bytes to be sent, those of files included."""
        return self.size + sum(part.count for part in self.parts if isinstance(part, FilePart))

    def sendall(self, data: bytes) -> None:
        """Take bytes."""
        if data:
            self.parts.append(memoryview(data))
            self.size += len(data)

    def sendfile(self, file: IO[bytes], offset: int = 0, count: int = 0) -> None:
        """Take a part of an open file, which the caller may close."""
        self.parts.append(FilePart(os.dup(file.fileno()), offset, count))

    def flush(self, sock: socket.socket) -> None:
        """Send as much as the socket takes now; raise OSError if the connection is lost."""
        try:
            while self.parts:
                first = self.parts[0]
                if isinstance(first, FilePart):
                    self._send_file(sock, first)
                else:
                    self._send_buffers(sock)
        except BlockingIOError:
            return

    def _send_buffers(self, sock: socket.socket) -> None:
        buffers: list[memoryview] = []
        for part in self.parts:
            if isinstance(part, FilePart) or len(buffers) == BUFFERS_PER_CALL:
                break
            buffers.append(part)
        sent = sock.sendmsg(buffers)
        self.size -= sent
        for part in buffers:
            self.parts.popleft()
            if sent < len(part):
                self.parts.appendleft(part[sent:])
                return
            sent -= len(part)

    def _send_file(self, sock: socket.socket, part: FilePart) -> None:
        if part.count > 0:
            sent = os.sendfile(sock.fileno(), part.descriptor, part.offset, part.count)
            if not sent:
                raise ConnectionAbortedError("The file is shorter than the answer announces.")
            part.offset += sent
            part.count -= sent
        if not part.count:
            os.close(part.descriptor)
            self.parts.popleft()

    def clear(self) -> None:
        """Forget the rest."""
        while self.parts:
            part = self.parts.popleft()
            if isinstance(part, FilePart):
                os.close(part.descriptor)
        self.size = 0
