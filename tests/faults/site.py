"""Resources that all trials share: servers, a template database, a worker, and its effects."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from tests.faults.evidence import Effect
from tests.faults.processes import ROOT, environment, wait_until, worker
from tests.faults.servers import Postgres, RabbitMQ
from tests.faults.tasks import REPEATED

TEMPLATE = "template"
CONNECTED = "Connected to amqp"
SEQUENCE = "django_celery_beat_periodictask_id_seq"
ID_RANGE = 1_000_000  # ids of periodic tasks reserved for each database


class Site:
    """Private servers, and a worker that no fault touches: it records each message it receives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.folder / "started").mkdir()
        self.postgres, self.rabbitmq = Postgres(), RabbitMQ()
        self.worker = worker(log=self.folder / "worker.log", environ=self.environ())
        self.databases = 0
        self.copy_lock = threading.Lock()

    def environ(self, **variables: str) -> dict[str, str]:
        defaults = {
            "BROKER_URL": self.rabbitmq.url,
            "DATABASE_URL": self.postgres.url_of("worker"),
            "FAULTS_EFFECTS": str(self.folder),
        }
        return environment(self.folder, **defaults | variables)

    def start(self) -> None:
        self.postgres.start()
        self.execute("CREATE DATABASE template")
        self.migrate(self.postgres.url_of(TEMPLATE))
        self.execute(f"CREATE DATABASE worker TEMPLATE {TEMPLATE}")
        self.rabbitmq.start()
        self.worker.start()
        wait_until(self.worker_is_ready, timeout_seconds=60, details=self.worker.output)

    def worker_is_ready(self) -> bool:
        return " ready." in self.worker.output()

    @contextmanager
    def wait_for_worker_to_reconnect(self) -> Iterator[None]:
        """After the block, wait until the shared worker has reconnected: it is not under test."""
        before = self.worker.output().count(CONNECTED)
        yield
        wait_until(
            lambda: self.worker.output().count(CONNECTED) > before,
            timeout_seconds=60,
            details=self.worker.output,
        )

    def migrate(self, url: str) -> None:
        command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        subprocess.run(command, cwd=ROOT, env=self.environ(DATABASE_URL=url), check=True)

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def new_database(self) -> str:
        """Create an empty database with all tables; return its name."""
        with self.copy_lock:  # PostgreSQL refuses to copy a template twice at once
            self.databases += 1
            number, name = self.databases, f"arm_{self.databases}"
            self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        # One worker serves all databases and distinguishes runs by id. If two databases had a
        # periodic task with the same id and the same clock, it would confuse their runs.
        first = number * ID_RANGE
        with psycopg.connect(self.postgres.url_of(name), autocommit=True) as connection:
            connection.execute(f"ALTER SEQUENCE {SEQUENCE} RESTART WITH {first}")  # type: ignore[arg-type]
        return name

    def effects(self) -> list[Effect]:
        """Return all effects that the worker has recorded so far."""
        file = self.folder / "effects"
        return [effect_of(line) for line in whole_lines(file)]

    def close(self) -> None:
        self.worker.close()
        self.rabbitmq.close()
        self.postgres.close()


def whole_lines(file: Path) -> list[str]:
    """Return the complete lines of a file; the last line may still be being written."""
    if not file.exists():
        return []
    return [line[:-1] for line in file.read_text().splitlines(keepends=True) if line[-1] == "\n"]


def effect_of(line: str) -> Effect:
    kind, run, name, sent, started, note = line.split("\t")
    return Effect(
        id=run,
        name=name,
        started_at=from_timestamp(float(started)),
        sent_at=from_timestamp(float(sent)) if sent else None,
        is_repeated=kind == REPEATED,
        note=note,
    )


def from_timestamp(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
