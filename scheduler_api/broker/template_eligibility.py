"""Decides whether prebuilt message templates may be used, for a task and for a process."""

import weakref
from pathlib import Path
from typing import Any

import celery
import kombu
from celery import Celery, Task, signals
from celery.app.routes import MapRoute, Router
from kombu import Producer

from scheduler_api.periodic_tasks.message_redaction import hide_secrets

PROTOCOL = 2
UPSTREAM = tuple(f"{Path(str(package.__file__)).parent}/" for package in (celery, kombu))


def is_templatable(app: Celery, task: Any) -> bool:
    """Return whether messages of a task can differ in nothing but their MessageFields.

    `task` is None for a task that only the workers have.
    """
    amqp, conf = app.amqp, app.conf
    kind = Task if task is None else type(task)
    if not is_upstream(
        kind.apply_async,
        kind.shadow_name,
        type(app).send_task,
        type(amqp).as_task_v2,
        Producer.publish,
    ):
        return False
    if (
        type(amqp.router) is not Router
        or not all(isinstance(route, MapRoute) for route in amqp.routes)
        or conf.task_protocol != PROTOCOL
    ):
        return False
    serializer = getattr(task, "serializer", None) or conf.task_serializer
    return bool(
        serializer == "json"
        and not (getattr(task, "compression", None) or conf.task_compression)
        and getattr(task, "_dump_pydantic_arguments", None) is None
    )


def is_upstream(*functions: Any) -> bool:
    """Return whether functions are Celery's or kombu's own.

    Tracing and error reporting libraries replace them with functions of the same name.
    """
    codes = (getattr(function, "__code__", None) for function in functions)
    return all(code and code.co_filename.startswith(UPSTREAM) for code in codes)


def has_listeners(app: Celery) -> bool:
    """Return whether a receiver other than `hide_secrets` is connected to a publish signal.

    The event task-sent counts as one.
    """
    listeners = (
        *_receivers(signals.before_task_publish),
        *_receivers(signals.after_task_publish),
        *_receivers(signals.task_sent),
    )
    has_listeners = any(listener is not hide_secrets for listener in listeners)
    return has_listeners or bool(app.conf.task_send_sent_event)


def hides_secrets() -> bool:
    """Return whether `hide_secrets` is connected, as scheduler_api.apps does."""
    return any(listener is hide_secrets for listener in _receivers(signals.before_task_publish))


def _receivers(signal: Any) -> list[Any]:
    return [
        receiver() if isinstance(receiver, weakref.ReferenceType) else receiver
        for _, receiver in signal.receivers or ()
    ]
