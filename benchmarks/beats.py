"""Beat processes as `celery beat` starts them: ours and those of the peers."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from time import monotonic, sleep
from urllib.parse import urlsplit

from benchmarks.databases import Database
from benchmarks.machine import cpu_seconds, listener
from benchmarks.queues import BROKER, Queue

OURS = ("project", "scheduler_api.beat:DatabaseScheduler")
STOCK = ("project", "django_celery_beat.schedulers:DatabaseScheduler")
REDBEAT = ("benchmarks.redbeat", "redbeat.RedBeatScheduler")
HAS_REDBEAT = find_spec("redbeat") is not None
START_TIMEOUT_SECONDS, STOP_TIMEOUT_SECONDS = 60, 20
REDIS = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"


@contextmanager
def beats(
    app_and_scheduler: tuple[str, str],
    *,
    queue: Queue,
    processes: int = 1,
    environment: Mapping[str, str],
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run beat processes; they must still run at the end, and are stopped then."""
    app, scheduler = app_and_scheduler
    command = [sys.executable, "-m", "celery", "-A", app, "beat", "--scheduler", scheduler]
    variables = {**os.environ, "BROKER_URL": BROKER, "QUEUES": queue.name, **environment}
    with ExitStack() as stack:
        started = [stack.enter_context(running(command, variables)) for _ in range(processes)]
        yield started
        assert all(process.poll() is None for process in started), "a beat has ended"


@contextmanager
def running(command: list[str], variables: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program and stop it at the end."""
    process = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_first_tick(database: Database, processes: int = 1) -> None:
    """Wait until this many of our beats have read the agenda."""
    deadline = monotonic() + START_TIMEOUT_SECONDS
    while database.one("SELECT count(*) FROM scheduler_api_beatheartbeat") < (processes,):
        assert monotonic() < deadline, "beat has not started"
        sleep(0.005)


@dataclass(frozen=True, kw_only=True)
class Used:
    """CPU seconds that each kind of process has used."""

    beat: float
    postgres: float
    rabbitmq: float

    def since(self, before: "Used") -> "Used":
        return Used(
            beat=self.beat - before.beat,
            postgres=self.postgres - before.postgres,
            rabbitmq=self.rabbitmq - before.rabbitmq,
        )


def used(processes: list[subprocess.Popen[bytes]], backends: list[int]) -> Used:
    """Return the CPU seconds of beats, their PostgreSQL processes, and RabbitMQ."""
    return Used(
        beat=cpu_seconds(process.pid for process in processes),
        postgres=cpu_seconds(backends),
        rabbitmq=cpu_seconds(rabbitmq()),
    )


@cache
def rabbitmq() -> list[int]:
    return listener(urlsplit(BROKER).port or 5672)


@cache
def redis() -> list[int]:
    return listener(urlsplit(REDIS).port or 6379)
