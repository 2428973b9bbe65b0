"""Secrets in the log lines of a worker about messages that it cannot run.

Celery logs the whole message if a worker does not know its task or cannot read it. The worker's
main process writes these lines, and no task runs there that would tell its secret arguments.
"""

import json
import logging
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from celery.utils.text import truncate
from kombu.utils.encoding import safe_repr

from scheduler_api.access.redaction import MASK, redacted

MAX_CHARACTERS = 1024  # as upstream
# Texts of the arguments, which another program may have sent with its secrets.
REPRS = {"argsrepr", "kwargsrepr"}


def hide_secrets_in_reports(**_: object) -> None:
    """Replace the two functions of Celery that describe a message, and filter its headers.

    Upstream, `dump_body` and `safe_repr` of celery.worker.consumer.consumer show secrets, and
    Consumer.on_unknown_task passes the headers to the logger. A receiver of the signal
    worker_init; calling it again changes nothing.
    """
    consumer: Any = import_module("celery.worker.consumer.consumer")  # only a worker needs it
    consumer.dump_body = redacted_body
    consumer.safe_repr = redacted_repr
    consumer.logger.addFilter(hide_headers)


def redacted_body(message: Any, body: object) -> str:
    """Describe the body of a message: its content without secrets if it is JSON, and its size."""
    raw = message.body
    content = raw if body is None or body is raw else body
    if isinstance(content, bytes | str | memoryview):
        try:
            content = json.loads(bytes(content) if isinstance(content, memoryview) else content)
        except ValueError:
            return f"{MASK} ({len(raw)}b)"
    return f"{truncate(safe_repr(redacted(content)), MAX_CHARACTERS)} ({len(raw)}b)"


def redacted_repr(value: object) -> str:
    """Return Celery's text of a value without secrets."""
    text: str = safe_repr(without_reprs(value) if isinstance(value, Mapping) else redacted(value))
    return text


def without_reprs(headers: Mapping[str, object]) -> dict[str, object]:
    """Return the headers of a message without secrets."""
    return {
        name: MASK if name in REPRS else redacted({name: value})[name]
        for name, value in headers.items()
    }


def hide_headers(record: logging.LogRecord) -> bool:
    """Hide secrets in the headers among the arguments of a log line; keep the line."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            without_reprs(value) if isinstance(value, Mapping) else value for value in record.args
        )
    return True
