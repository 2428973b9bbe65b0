"""A transaction of another program, or a caller that stops sending, holds up the API in vain."""

import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.journeys.service import Api

pytestmark = pytest.mark.timeout(300)

INTERVALS = "/api/v1/interval-schedules/"
HOURLY = {"every": 1, "period": "hours"}
TABLE = "django_celery_beat_intervalschedule"


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    """The API, which waits a second at most for other transactions."""
    environment = {"LOCK_TIMEOUT_SECONDS": "1", "RATE_LIMIT": "0"}  # a limit is counted by writes
    if request.param == "PostgreSQL":
        environment["DATABASE_URL"] = request.getfixturevalue("postgres_database")
    with Api(tmp_path, **environment) as api:
        yield api


@contextmanager
def writer_of(api: Api) -> Iterator[None]:
    """Keep other writers waiting; fail if another transaction does not end within 30 s."""
    url = api.environment.get("DATABASE_URL")
    if url is None:
        file = Path(api.environment["DATA_DIR"]) / "db.sqlite3"
        with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            yield
    else:
        with psycopg.connect(url, options="-c lock_timeout=30s") as other:
            other.execute(f"LOCK TABLE {TABLE} IN EXCLUSIVE MODE")
            yield
            other.rollback()


def test_writes_are_refused_while_another_program_writes(api: Api):
    api.call("GET", INTERVALS)  # records that the key is in use

    with writer_of(api):
        refused = api.send("POST", INTERVALS, HOURLY)
        read, _ = api.call("GET", INTERVALS)

    assert (refused.status, refused.json["code"]) == (503, "database_busy")
    assert refused.headers["Retry-After"] == "1"
    assert read == 200
    assert api.call("POST", INTERVALS, HOURLY)[0] == 201


def test_unfinished_body_holds_up_nobody(api: Api):
    _, schedule = api.call("POST", INTERVALS, HOURLY)

    with unfinished(api, "PATCH", f"{INTERVALS}{schedule['id']}/", {"every": 2}) as finish:
        with writer_of(api):  # another program can lock whatever it wants
            pass
        assert api.call("PATCH", f"{INTERVALS}{schedule['id']}/", {"every": 3})[0] == 200
        assert finish().startswith(b"HTTP/1.1 200")


@contextmanager
def unfinished(api: Api, method: str, path: str, body: Any) -> Iterator[Any]:
    """Send a request up to the last byte of its body; yield a function that finishes it."""
    content = json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{api.port}\r\n"
        f"Authorization: Bearer {api.key_file.read_text().strip()}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n"
        "Connection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", api.port), timeout=60) as client:
        client.sendall(head.encode() + content[:-1])

        def finish() -> bytes:
            client.sendall(content[-1:])
            return client.recv(1000)

        yield finish
