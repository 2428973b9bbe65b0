"""RedBeat: its Celery application, and in Redis the tasks that databases.py puts in PostgreSQL."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from time import monotonic, sleep, time

from celery.schedules import crontab, schedule
from redbeat.decoder import RedBeatJSONEncoder
from redis import Redis

from benchmarks.beats import REDIS
from project.celery import app

SCHEDULES = 100
ROUND_TRIP = 1000
A_DAY = timedelta(days=1)
START_TIMEOUT_SECONDS = 60
numbers = count(1)

app.conf.redbeat_redis_url = REDIS
app.conf.redbeat_key_prefix = os.environ.get("REDBEAT_KEY_PREFIX", "benchmark:")


@contextmanager
def entries(tasks: int, *, every: float | None = None) -> Iterator[Mapping[str, str]]:
    """Store due entries on 200 schedules, or with an interval of `every` seconds.

    Yield the environment variables for its beat.
    """
    prefix = f"benchmark-{os.getpid()}-{next(numbers)}:"
    client = Redis.from_url(REDIS)
    try:
        store(client, prefix, tasks, every)
        yield {"REDBEAT_KEY_PREFIX": prefix}
    finally:
        keys = list(client.scan_iter(f"{prefix}*", count=10_000))
        for start in range(0, len(keys), ROUND_TRIP):
            client.delete(*keys[start : start + ROUND_TRIP])


def store(client: Redis, prefix: str, tasks: int, every: float | None) -> None:
    """Store the same data as RedBeatSchedulerEntry.save, for many entries at once."""
    frequent = [schedule(timedelta(minutes=60 + number), app=app) for number in range(SCHEDULES)]
    hourly = [crontab(minute=number % 60, app=app) for number in range(SCHEDULES)]
    last_run_at, due_at = datetime.now(UTC) - A_DAY, time()
    pipeline = client.pipeline(transaction=False)
    for number in range(1, tasks + 1):
        is_import = number % 3 == 0
        if every is not None:
            when = schedule(timedelta(seconds=every), app=app)
        else:
            when = (frequent, hourly)[number % 2][number // 2 % SCHEDULES]
        name = f"Report {number:07}"
        definition = {
            "name": name,
            "task": "project.tasks.import_contacts" if is_import else "project.tasks.add",
            "args": [] if is_import else [number, 1],
            "kwargs": {"arg1": f"list {number}", "arg2": "weekly"} if is_import else {},
            "options": {},
            "schedule": when,
            "enabled": True,
        }
        key = f"{prefix}{name}"
        meta = {"last_run_at": last_run_at}
        pipeline.hset(key, "definition", json.dumps(definition, cls=RedBeatJSONEncoder))
        pipeline.hset(key, "meta", json.dumps(meta, cls=RedBeatJSONEncoder))
        pipeline.zadd(f"{prefix}:schedule", {key: due_at})
        if number % ROUND_TRIP == 0:
            pipeline.execute()
    pipeline.execute()


def await_start(prefix: str) -> None:
    """Wait until RedBeat has its lock: then it starts to send due tasks."""
    client = Redis.from_url(REDIS)
    deadline = monotonic() + START_TIMEOUT_SECONDS
    while not client.exists(f"{prefix}:lock"):
        assert monotonic() < deadline, "RedBeat has not started"
        sleep(0.005)
