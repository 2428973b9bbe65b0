"""Workers that announce tasks without their code in this process."""

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from scheduler_api.catalogue.models import ALIVE_TIMEOUT, Worker
from scheduler_api.catalogue.registry import RegisteredTask
from scheduler_api.catalogue.signatures import signature_of
from scheduler_api.worker.registration import Announcement, announce

PAST_ALIVE_TIMEOUT = ALIVE_TIMEOUT + timedelta(seconds=1)


def send_report(month: str, copies: int = 1, *, is_draft: bool = False) -> None:
    """Send the report of a month."""


def close_books(year: int) -> None: ...


REPORT, BOOKS = "elsewhere.send_report", "elsewhere.close_books"


def task_of(function: Callable[..., object], name: str = "") -> RegisteredTask:
    return RegisteredTask(
        name=name or f"elsewhere.{function.__name__}",
        doc=inspect.getdoc(function) or "",
        signature=signature_of(function),
    )


def start_worker(
    *functions: Callable[..., object],
    name: str = "celery@one",
    queues: tuple[str, ...] = ("celery",),
    **parts: Any,
) -> Worker:
    """Announce a worker with these tasks."""
    values = {"version": "1.2", "pid": 4711, "concurrency": 2, **parts}
    announce(
        Announcement(
            name=name,
            queues=lambda: list(queues),
            tasks=lambda: [task_of(function) for function in functions],
            **values,
        )
    )
    return Worker.objects.get(name=name)


def set_last_seen(worker: Worker, *, ago: timedelta) -> None:
    """Move the last heartbeat of a worker into the past."""
    Worker.objects.filter(pk=worker.pk).update(last_seen_at=Now() - ago)


def kill(worker: Worker) -> None:
    """Move the last heartbeat of a worker so far into the past that it is not alive."""
    set_last_seen(worker, ago=PAST_ALIVE_TIMEOUT)
