"""The format of log lines; docs/decisions/0005-logs.md gives the reasons for our own."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.config import dictConfig
from types import TracebackType
from typing import Any

from celery._state import get_current_task
from django.views.debug import SafeExceptionReporterFilter

from scheduler_api.access.redaction import hidden, secrets_in
from scheduler_api.http.middleware import current_request_id
from scheduler_api.log_events import EventLogger, LogEvent

logger = EventLogger(__name__)

# Up to the last @ before a slash: URL parsers read a password with an @ the same way.
CREDENTIALS = re.compile(r"(://[^\s/:@]*):[^\s/]+@")


def masked(text: str) -> str:
    """Hide the passwords of all URLs in a text: `amqp://user:***@host`."""
    return CREDENTIALS.sub(r"\1:***@", text)


def without_secrets(text: str) -> str:
    """Hide the passwords of URLs in a text, and the secret arguments of the running task.

    Celery logs the result of a task and its exception, which may repeat an argument.
    """
    text = masked(text)
    if task := get_current_task():  # type: ignore[truthy-bool]  # None outside a task
        return hidden(text, secrets_in((task.request.args, task.request.kwargs)))
    return text


class AboveDebug(logging.Filter):
    """Drops the records of level DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to keep a record."""
        return record.levelno > logging.DEBUG


def context() -> dict[str, str | None]:
    """Return the ids of the task or the request that this thread works on, if any."""
    if task := get_current_task():  # type: ignore[truthy-bool]  # None outside a task
        return {"task_id": task.request.id, "task_name": task.name}
    if request_id := current_request_id.get():
        return {"request_id": request_id}
    return {}


class TextFormatter(logging.Formatter):
    """A line for people: time, level, logger, message, and the ids of its task or request."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """Return the local time with its offset: without one, an hour repeats in autumn."""
        local = datetime.fromtimestamp(record.created, UTC).astimezone()
        return local.isoformat(sep=" ", timespec="milliseconds")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Add the ids to the first line, before the traceback."""
        about = "".join(f" {name}={value}" for name, value in context().items())
        return super().formatMessage(record) + about

    def format(self, record: logging.LogRecord) -> str:
        """Hide secrets in the whole text, the traceback included."""
        return without_secrets(super().format(record))


class JSONFormatter(logging.Formatter):
    """A JSON object on a line of its own.

    Its members are `time` (ISO 8601, UTC), `level`, `logger` and `message`; within a request
    `request_id`, within a task `task_id` and `task_name`; after an exception `exception`, its
    traceback; and the members that a call gives as `extra={"members": {...}}`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Hide secrets in each member, before JSON escapes them."""
        members = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **context(),
            **getattr(record, "members", {}),
        }
        if record.exc_info:
            members["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            members["stack"] = record.stack_info
        return json.dumps(
            {
                name: without_secrets(value) if isinstance(value, str) else value
                for name, value in members.items()
            }
        )


class DebugPageFilter(SafeExceptionReporterFilter):
    """Django's filter, which hides settings by name, and the passwords within URLs, too."""

    def cleanse_setting(self, key: int | str, value: object) -> object:
        """Hide passwords in the settings and the environment that the page of DEBUG shows."""
        cleansed = super().cleanse_setting(key, value)
        return masked(cleansed) if isinstance(cleansed, str) else cleansed


def configure(config: Mapping[str, Any]) -> None:
    """Apply the setting LOGGING; log warnings and uncaught exceptions, too."""
    dictConfig(dict(config))
    logging.captureWarnings(True)
    sys.excepthook = log_uncaught


def log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Log the exception that ends the process, unless it is a Ctrl-C."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
    else:
        logger.critical(
            LogEvent.UNCAUGHT_EXCEPTION,
            "Uncaught exception",
            exc_info=error.with_traceback(traceback),
        )
