"""Checks the message columns of a periodic task, and turns them into options of a run."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol

from django.conf import settings
from django_celery_beat.models import PeriodicTask

from scheduler_api.catalogue.registry import is_registered
from scheduler_api.catalogue.routes import route_of
from scheduler_api.catalogue.task_lookup import announced_names, catalogue_version, unknown_task
from scheduler_api.http.fields import read_json
from scheduler_api.http.problems import Mistake
from scheduler_api.periodic_tasks.message_headers import wrong_headers
from scheduler_api.periodic_tasks.validation import wrong_routing
from scheduler_api.runs.stored_calls import problem_with_call

MAX_PRIORITY = 255


class Row(Protocol):
    """The columns of a PeriodicTask that determine its message, as they are stored."""

    @property
    def task(self) -> str: ...
    @property
    def args(self) -> str | None: ...
    @property
    def kwargs(self) -> str | None: ...
    @property
    def headers(self) -> str | None: ...
    @property
    def queue(self) -> str | None: ...
    @property
    def exchange(self) -> str | None: ...
    @property
    def routing_key(self) -> str | None: ...
    @property
    def priority(self) -> int | None: ...


def problem_with(
    row: Row, *, args: str | None = None, kwargs: str | None = None, is_adopted: bool = False
) -> str:
    """Return why a row must not be published and how to correct it; "" if it may be.

    The rules are those of the API, for rows that were not written by it. `args` and `kwargs`
    replace the row's own. `is_adopted` says that the API has never checked the name of the task:
    it is published until the workers of its queue have announced themselves. The text contains no
    value of an argument or a header.
    """
    may_be_named = is_known(row.task) or (is_adopted and not has_announced_workers(row))
    return _problem_beside_arguments(
        row.task,
        row.headers,
        (row.queue, row.exchange, row.routing_key),
        row.priority,
        may_be_named,
        # The refusal of an unknown name suggests known ones.
        may_be_named or announced_names.version,
        tuple(settings.QUEUES),
        settings.ALLOW_CUSTOM_ROUTING,
    ) or problem_with_call(row.task, args or row.args, kwargs or row.kwargs)


def publishing_rules() -> tuple[object, ...]:
    """Return all that `problem_with` depends on beside the row: the settings and the catalogue."""
    return (
        settings.UNREGISTERED_TASKS,
        tuple(settings.QUEUES),
        settings.ALLOW_CUSTOM_ROUTING,
        *catalogue_version(),
    )


def options_of_task(task: PeriodicTask, *, now: datetime) -> str:
    """Return the options of a run of a periodic task that is published now.

    The task's `expires` ends its schedule; a run on request ignores it.
    """
    expires = None
    if task.expire_seconds:
        expires = now + timedelta(seconds=task.expire_seconds)
    return options_of(
        task.queue, task.exchange, task.routing_key, task.priority, task.headers, expires
    )


def expiry_of_task(pk: int | None, *, now: datetime) -> datetime | None:
    """Return when a message of a periodic task that is published now expires, if it does."""
    seconds = PeriodicTask.objects.filter(pk=pk).values_list("expire_seconds", flat=True).first()
    return now + timedelta(seconds=seconds) if seconds else None


@lru_cache(4096)
def _problem_beside_arguments(
    task: str,
    headers: str | None,
    routing: tuple[str | None, str | None, str | None],
    priority: int | None,
    is_task_known: bool,
    *_settings: Any,
) -> str:
    return (
        ("" if is_task_known else _problem_with_task(task))
        or _problem_with_headers(headers)
        or _problem_with_routing(*routing)
        # A named queue is judged by QUEUES.
        or ("" if routing[0] else route_of(task, *routing).problem)
        or _problem_with_priority(priority)
    )


def is_known(task: str) -> bool:
    """Return whether a task may be published: this process or any worker has registered it."""
    return (
        is_registered(task) or settings.UNREGISTERED_TASKS == "allow" or announced_names.has(task)
    )


def has_announced_workers(row: Row) -> bool:
    """Return whether a worker that has announced its tasks consumes the queue of a row, or did.

    Without one, nothing is known about the workers: they may be without this app, or older.
    """
    route = route_of(row.task, row.queue, row.exchange, row.routing_key)
    return announced_names.consumes(route.queue)


def _problem_with_task(task: str) -> str:
    reason = unknown_task(task)
    return f"{reason} UNREGISTERED_TASKS=allow allows names that no worker has registered."


def _problem_with_headers(text: str | None) -> str:
    if read_json(text, dict) is None:
        return "headers is not a JSON object: write one."
    return _first(wrong_headers(PeriodicTask(headers=text or "{}")))


def _problem_with_routing(queue: str | None, exchange: str | None, routing_key: str | None) -> str:
    # Celery treats an empty text as None.
    row = PeriodicTask(
        queue=queue or None, exchange=exchange or None, routing_key=routing_key or None
    )
    return _first(wrong_routing(row))


def _first(mistakes: Iterator[Mistake]) -> str:
    """Return the first mistake as a sentence; its pointer is the name of a column."""
    mistake = next(mistakes, None)
    return f"{(mistake.pointer or '').lstrip('/')}: {mistake.detail}" if mistake else ""


def _problem_with_priority(priority: int | None) -> str:
    if priority is None or 0 <= priority <= MAX_PRIORITY:
        return ""
    return f"priority: {priority} is not between 0 and {MAX_PRIORITY}."


def options_of(  # noqa: PLR0917 - the columns, in their order
    queue: str | None,
    exchange: str | None,
    routing_key: str | None,
    priority: int | None,
    headers_text: str | None,
    expires: datetime | None,
) -> str:
    """Return the options of a run, in the format of Outgoing; the row must have no problem.

    They are those of django_celery_beat.schedulers.ModelEntry. `expires` is aware.
    """
    options = _lasting_options(queue, exchange, routing_key, priority, headers_text)
    if expires is None:
        return options
    start = options[:-1] + (", " if len(options) > len("{}") else "")
    return f'{start}"expires": "{expires.isoformat()}"}}'


def with_expiry(options: str, expires_at: datetime | None) -> str:
    """Return options with another expiry, or without one."""
    read: dict[str, Any] = json.loads(options)
    read.pop("expires", None)
    if expires_at is not None:
        read["expires"] = expires_at.isoformat()
    return json.dumps(read)


def expiry_of(options: str) -> datetime | None:
    """Return when a message with these options expires; None if it does not."""
    if '"expires"' not in options:
        return None
    expires: str | None = json.loads(options).get("expires")
    return None if expires is None else datetime.fromisoformat(expires)


@lru_cache(4096)
def _lasting_options(
    queue: str | None,
    exchange: str | None,
    routing_key: str | None,
    priority: int | None,
    headers_text: str | None,
) -> str:
    options: dict[str, Any] = {
        name: value
        for name, value in (
            ("queue", queue),
            ("exchange", exchange),
            ("routing_key", routing_key),
        )
        # An empty text takes the place of an option of the task's class, as under stock beat.
        if value is not None
    }
    if priority is not None:
        options["priority"] = priority
    if headers := read_json(headers_text, dict):
        options["headers"] = headers
    return json.dumps(options)
