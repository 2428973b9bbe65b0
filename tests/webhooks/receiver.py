"""A real HTTP server that receives webhooks and answers as the test configures it."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.ports import free_port


@dataclass(frozen=True, kw_only=True)
class Received:
    """A received request."""

    method: str
    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def is_signed_with(self, secret: str) -> bool:
        """Verify the signature by the specification, without our own code."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = b".".join(
            [self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body]
        )
        expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        is_fresh = abs(time.time() - int(self.headers["webhook-timestamp"])) < 300
        return is_fresh and f"v1,{expected}" in self.headers["webhook-signature"].split(" ")


@dataclass(kw_only=True)
class Receiver:
    """The server. `answers` has a status per request; the last one repeats.

    `hold` delays every response until the event is set.
    """

    answers: list[int] = field(default_factory=lambda: [204])
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hold: threading.Event | None = None
    received: list[Received] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    raw: Callable[[Any], None] | None = None
    """Writes the whole response to the file of the connection."""

    def __enter__(self) -> "Receiver":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                receiver.answer(self)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.handle_any)
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.hold is not None:
            self.hold.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Store a request and answer it."""
        length = int(request.headers.get("Content-Length", 0))
        received = Received(
            method=request.command,
            path=request.path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.rfile.read(length),
        )
        number = len(self.received)
        self.received.append(received)
        if self.hold is not None:
            self.hold.wait(60)
        try:
            if self.raw is not None:
                self.raw(request.wfile)
                return
            request.send_response(self.answers[min(number, len(self.answers) - 1)])
            for name, value in self.headers.items():
                request.send_header(name, value)
            request.send_header("Content-Length", str(len(self.body)))
            request.end_headers()
            if request.command != "HEAD":
                request.wfile.write(self.body)
        except OSError:
            """The sender did not wait for the response."""


def wait_for(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    """Wait until a condition holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
