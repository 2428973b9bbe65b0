"""Raw connections to a server, and the answers that come back."""

import json
import re
import socket
from dataclasses import dataclass
from typing import Any

ANSWER_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response, as its bytes have it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def connect(port: int) -> socket.socket:
    """Open a connection."""
    return socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)


def exchange(port: int, data: bytes) -> bytes:
    """Send bytes and nothing more; return all that comes back until the server closes."""
    with connect(port) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except OSError:  # refused before all of it was sent
            pass
        return receive_all(client)


def receive_all(client: socket.socket) -> bytes:
    """Return what comes until the server closes the connection."""
    received = b""
    try:
        while data := client.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def answers_in(data: bytes, *, to_head: bool = False) -> list[Answer]:
    """Split bytes into answers; fail unless they are whole responses of HTTP/1."""
    answers = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = re.fullmatch(r"HTTP/1\.[01] ([1-5]\d\d) [^\r\n]*", first)
        assert end, head
        assert status, first
        headers = {}
        for line in lines:
            name, colon, value = line.partition(": ")
            assert colon, line
            headers[name.lower()] = value
        if status[1].startswith("1"):
            continue
        length = 0 if to_head or status[1] in {"204", "304"} else int(headers["content-length"])
        assert len(data) >= length, data
        answers.append(Answer(status=int(status[1]), headers=headers, body=data[:length]))
        data = data[length:]
    return answers
