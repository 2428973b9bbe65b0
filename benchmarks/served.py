"""The service that benchmarks/api.py measures: gunicorn, and 100,000 periodic tasks."""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from random import Random
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import django
import psycopg
from django.core.management import call_command
from psycopg import sql

POSTGRES = os.environ.get("DATABASE_URL") or "postgres://postgres@127.0.0.1:5432/test"
DATABASE = f"scheduler_api_benchmark_{os.getpid()}"
TASKS = 100_000
BATCH = 2000
RESPONSE_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Client:
    """Sends requests over one connection, with a key."""

    connection: HTTPConnection
    key: str

    def send(self, method: str, path: str, body: object = None) -> bytes:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        text = None if body is None else json.dumps(body)
        self.connection.request(method, path, text, headers)
        response = self.connection.getresponse()
        answer = response.read()
        assert response.status in {200, 201}, f"{method} {path}: {response.status} {answer!r}"
        return answer

    def get(self, path: str) -> Any:
        return json.loads(self.send("GET", path))


@dataclass(frozen=True, kw_only=True)
class Server:
    """The port of gunicorn, and a valid API key."""

    port: int
    key: str

    @contextmanager
    def client(self) -> Iterator[Client]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=RESPONSE_TIMEOUT_SECONDS)
        try:
            yield Client(connection=connection, key=self.key)
        finally:
            connection.close()


@contextmanager
def served() -> Iterator[Server]:
    """Create the database and serve it; stop and drop both at the end."""
    with database():
        key = load()
        with gunicorn() as port:
            yield Server(port=port, key=key)


@contextmanager
def database() -> Iterator[None]:
    """Create an empty database, which the settings use until the end."""
    name = sql.Identifier(DATABASE)
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            with tempfile.TemporaryDirectory() as folder:
                os.environ |= {
                    "API_PROCESSES": "1",
                    "DATABASE_URL": urlunsplit(urlsplit(POSTGRES)._replace(path=f"/{DATABASE}")),
                    "DATA_DIR": folder,
                    "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
                    "LOG_LEVEL": "WARNING",
                    "RATE_LIMIT": "1000000",  # counts, without limiting
                    "SECRET_KEY": secrets.token_urlsafe(50),
                }
                yield
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def load() -> str:
    """Fill the database, and return an API key with all scopes."""
    django.setup()
    call_command("migrate", verbosity=0)

    # Models can be imported only after django.setup().
    from django.db import connection  # noqa: PLC0415
    from django_celery_beat.models import PeriodicTask  # noqa: PLC0415

    from scheduler_api.access.models import ApiKey, ServiceAccount  # noqa: PLC0415
    from scheduler_api.periodic_tasks.models import ManagedTask  # noqa: PLC0415

    random = Random(1)
    schedules = list(stored_schedules(random))
    account = ServiceAccount.objects.create(name="Benchmark", scopes=["admin"])
    now = datetime.now(UTC)
    tasks = PeriodicTask.objects.bulk_create(
        (
            PeriodicTask(
                name=f"Task {number:06}",
                task="project.tasks.add",
                args=json.dumps([number, 1]),
                description="Adds one",
                last_run_at=now - timedelta(seconds=random.randrange(3600)),
                date_changed=now,
                **random.choice(schedules),
            )
            for number in range(TASKS)
        ),
        batch_size=BATCH,
    )
    ManagedTask.objects.bulk_create(
        (ManagedTask(periodic_task=task, owner=account) for task in tasks), batch_size=BATCH
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    _, key = ApiKey.issue(account)
    connection.close()
    return key


def stored_schedules(random: Random) -> Iterator[dict[str, Any]]:
    """Store 200 schedules: 50 % intervals, 45 % crontabs, 4 % solar, 1 % clocked."""
    from django_celery_beat.models import (  # noqa: PLC0415
        SOLAR_SCHEDULES,
        ClockedSchedule,
        CrontabSchedule,
        IntervalSchedule,
        SolarSchedule,
    )

    for every in range(1, 101):
        yield {"interval": IntervalSchedule.objects.create(every=every, period="minutes")}
    for number in range(90):
        zone = ("UTC", "Europe/Berlin", "America/New_York")[number % 3]
        minute, hour = str(random.randrange(60)), random.choice(["*", "*/2", "7", "9-17"])
        crontab = CrontabSchedule.objects.create(minute=minute, hour=hour, timezone=zone)
        yield {"crontab": crontab}
    for number in range(8):
        event = random.choice(SOLAR_SCHEDULES)[0]
        solar = SolarSchedule.objects.create(event=event, latitude=5 * number, longitude=13)
        yield {"solar": solar}
    for year in (2050, 2051):
        moment = datetime(year, 1, 1, tzinfo=UTC)
        yield {"clocked": ClockedSchedule.objects.create(clocked_time=moment), "one_off": True}


@contextmanager
def gunicorn() -> Iterator[int]:
    """Run gunicorn as the project does, with one process; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "project.wsgi", "--log-level=warning"]
    process = subprocess.Popen(command, env={**os.environ, "PORT": str(port)})
    try:
        deadline = monotonic() + RESPONSE_TIMEOUT_SECONDS
        while not is_listening(port):
            assert process.poll() is None, "gunicorn has ended"
            assert monotonic() < deadline, "gunicorn does not answer"
            sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True
