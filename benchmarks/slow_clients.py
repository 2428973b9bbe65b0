"""The API among 500 clients that never finish what they began; and gunicorn's own worker beside.

Run from the root of the repository; it takes about two minutes, on SQLite:

    python -m benchmarks.slow_clients

Both sides have two processes of eight threads, and alternate in each round. Without the crowd, the
processor time per request is compared, too.
"""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from time import monotonic, perf_counter, sleep
from types import TracebackType
from typing import Self

HEAD = b"POST /api/v1/periodic-tasks/ HTTP/1.1\r\nHost: localhost\r\n"
STATIC = b"/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
LONG_ANSWER = b"GET " + STATIC + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"

# What a client sends at once, and what it then sends byte by byte.
KINDS = {
    "silent": (b"", b""),
    "half a head": (HEAD, b"X-Slow: " + b"a" * 10_000),
    "half a body": (HEAD + b"Content-Length: 200000\r\n\r\n{", b" " * 10_000),
    "slow reader": (20 * LONG_ANSWER, b""),
}


class Crowd:
    """Opens connections of every kind; each sends and reads a byte per second."""

    def __init__(self, port: int, size: int) -> None:
        self.port = port
        self.size = size
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.trickle)
        self.members: list[tuple[socket.socket, Iterator[int]]] = []

    def __enter__(self) -> Self:
        kinds = cycle(KINDS.values())
        for _, (first, slowly) in zip(range(self.size), kinds, strict=False):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", self.port))
            with suppress(OSError):  # it has given way to another one already
                client.sendall(first)
            client.setblocking(False)
            self.members.append((client, iter(slowly)))
        self.thread.start()
        return self

    def trickle(self) -> None:
        """Send and read one byte on each connection, every second."""
        while not self.done.wait(1):
            for client, slowly in self.members:
                with suppress(OSError):
                    if byte := next(slowly, 0):
                        client.send(bytes([byte]))
                    client.recv(1)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.done.set()
        self.thread.join()
        for client, _ in self.members:
            client.close()


# --- The measurement ----------------------------------------------------------------------------

SIZE = 500
ROUNDS = 3
SECONDS = 5
# A request that takes longer counts as this long.
TIMEOUT_SECONDS = 5
PATHS = ("/healthz", "/readyz", "/api/v1/tasks/")


@dataclass(kw_only=True)
class Side:
    """A worker class, its server, and what was measured."""

    name: str
    arguments: list[str]
    port: int = 0
    pid: int = 0
    seconds: dict[tuple[str, bool], list[float]] = field(default_factory=dict)
    processor_seconds: list[float] = field(default_factory=list)


def main() -> None:
    sides = [Side(name="ours", arguments=[]), Side(name="gthread", arguments=["-k", "gthread"])]
    with served(sides) as key:
        for _ in range(ROUNDS):
            for side in sides:
                before = processor_seconds(side.pid)
                count = measure(side, key, is_crowded=False)
                side.processor_seconds.append((processor_seconds(side.pid) - before) / count)
                with Crowd(side.port, SIZE):
                    measure(side, key, is_crowded=True)
    report(sides)


@contextmanager
def served(sides: list[Side]) -> Iterator[str]:
    """Serve all sides from one new database; yield a key."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "DATA_DIR": folder,
            "DATABASE_URL": "",
            "BROKER_URL": "",
            "LOG_LEVEL": "ERROR",
            "RATE_LIMIT": "0",
            "SECRET_KEY": secrets.token_urlsafe(50),
        }
        manage(environment, "migrate")
        key = manage(environment, "create_api_key", "--account", "benchmark", "--scopes", "admin")
        processes = []
        for side in sides:
            with socket.create_server(("127.0.0.1", 0)) as free:
                side.port = free.getsockname()[1]
            process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "project.wsgi", *side.arguments],
                env={**environment, "PORT": str(side.port)},
            )
            side.pid = process.pid
            processes.append(process)
        try:
            for side in sides:
                while ask(side.port, "/healthz", key) >= TIMEOUT_SECONDS:
                    sleep(0.1)
            yield key
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()


def manage(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def measure(side: Side, key: str, *, is_crowded: bool) -> int:
    """Send requests one after the other, each on a new connection; return how many."""
    count = 0
    end = monotonic() + SECONDS
    while monotonic() < end:
        for path in PATHS:
            side.seconds.setdefault((path, is_crowded), []).append(ask(side.port, path, key))
            count += 1
    return count


def ask(port: int, path: str, key: str) -> float:
    """Return how long a request takes."""
    started = perf_counter()
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        response.read()
    except OSError:
        return TIMEOUT_SECONDS
    finally:
        connection.close()
    assert response.status == 200, response.status  # noqa: PLR2004
    return perf_counter() - started


def processor_seconds(master: int) -> float:
    """Return the processor time of a server's processes so far."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == master:
                total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def report(sides: list[Side]) -> None:
    names = [side.name for side in sides]
    print(f"| | {' | '.join(names)} |\n|---|{'---:|' * len(sides)}")
    for path in PATHS:
        for is_crowded in (False, True):
            for percent in (50, 99):
                values = [
                    1000 * quantiles(side.seconds[path, is_crowded], n=100)[percent - 1]
                    for side in sides
                ]
                crowd = f", {SIZE} slow clients" if is_crowded else ""
                cells = " | ".join(f"{value:.1f}" for value in values)
                print(f"| {path}{crowd}, p{percent}, ms | {cells} |")
    used = [1e6 * sum(side.processor_seconds) / ROUNDS for side in sides]
    print(f"| processor time of a request, µs | {' | '.join(f'{each:.0f}' for each in used)} |")


if __name__ == "__main__":
    main()
