"""What a line of the log looks like; why our own: docs/decisions/0005-logs.md."""

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

from scheduler_api.http.middleware import current_request_id
from scheduler_api.log_events import EventLogger, LogEvent

logger = EventLogger(__name__)

# Up to the last @ before a slash: a password may have one, and URLs are read so.
CREDENTIALS = re.compile(r"(://[^\s/:@]*):[^\s/]+@")


def masked(text: str) -> str:
    """Hide the passwords of all URLs in a text: `amqp://user:***@host`."""
    return CREDENTIALS.sub(r"\1:***@", text)


class AboveDebug(logging.Filter):
    """Drops what a logger tells at DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to keep a record."""
        return record.levelno > logging.DEBUG


def context() -> dict[str, str | None]:
    """Return what this thread is doing: a task, a request, or neither."""
    if task := get_current_task():  # type: ignore[truthy-bool]  # None outside a task
        return {"task_id": task.request.id, "task_name": task.name}
    if request_id := current_request_id.get():
        return {"request_id": request_id}
    return {}


class TextFormatter(logging.Formatter):
    """A line for people: time, level, logger, message, and the ids of what it is about."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Add the ids to the first line, before the traceback."""
        about = "".join(f" {name}={value}" for name, value in context().items())
        return super().formatMessage(record) + about

    def format(self, record: logging.LogRecord) -> str:
        """Hide passwords in all of it, the traceback included."""
        return masked(super().format(record))


class JSONFormatter(logging.Formatter):
    """A JSON object on a line of its own.

    It has `time` (ISO 8601, UTC), `level`, `logger` and `message`; `request_id`, or `task_id` and
    `task_name`, where there is one; `exception`, a traceback, where something was raised; and
    whatever a call gives as `extra={"members": {...}}`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Hide passwords in each member, before JSON escapes them."""
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
                name: masked(value) if isinstance(value, str) else value
                for name, value in members.items()
            }
        )


class DebugPageFilter(SafeExceptionReporterFilter):
    """Django's, which hides settings by their name alone; those of a URL keep the rest of it."""

    def cleanse_setting(self, key: int | str, value: object) -> object:
        """Hide passwords in settings and in the environment, where DEBUG shows them."""
        cleansed = super().cleanse_setting(key, value)
        return masked(cleansed) if isinstance(cleansed, str) else cleansed


def configure(config: Mapping[str, Any]) -> None:
    """Apply the setting LOGGING; warnings, and exceptions that nobody caught, are logged too."""
    dictConfig(dict(config))
    logging.captureWarnings(True)
    sys.excepthook = log_uncaught


def log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Log what ends the process, unless a person ended it."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
    else:
        logger.critical(
            LogEvent.UNCAUGHT_EXCEPTION,
            "Uncaught exception",
            exc_info=error.with_traceback(traceback),
        )
