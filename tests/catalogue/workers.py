"""Workers that have told of themselves, whose code this process does not have."""

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from scheduler_api.catalogue.models import ALIVE_TIMEOUT, Worker
from scheduler_api.catalogue.registry import RegisteredTask
from scheduler_api.catalogue.signatures import signature_of
from scheduler_api.worker.registration import Announcement, announce

LONGER = ALIVE_TIMEOUT + timedelta(seconds=1)


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


def worker(
    *functions: Callable[..., object],
    name: str = "celery@one",
    queues: tuple[str, ...] = ("celery",),
    **parts: Any,
) -> Worker:
    """Let a worker with these tasks start."""
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


def seen(worker: Worker, *, ago: timedelta) -> None:
    """Let it have been so long since a worker was seen."""
    Worker.objects.filter(pk=worker.pk).update(last_seen_at=Now() - ago)


def kill(worker: Worker) -> None:
    """Let a worker give no sign any more, for long enough."""
    seen(worker, ago=LONGER)
