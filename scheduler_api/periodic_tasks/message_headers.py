"""The headers that a periodic task adds to its messages: which may be sent, and why others not."""

from collections.abc import Iterator
from typing import Any

from celery.app.task import Context
from django_celery_beat.models import PeriodicTask

from scheduler_api.http.fields import read_json
from scheduler_api.http.problems import Mistake, join

MAX_HEADERS_BYTES = 64 * 1024
MAX_NAME_BYTES = 255
LARGEST_INTEGER = 2**63 - 1
# Names that a message has already, or that a worker would take for part of Celery's protocol: the
# names that Context._get_custom_headers() hides from tasks.
CELERY_HEADERS = frozenset(
    {*vars(Context), "lang", "task", "argsrepr", "kwargsrepr", "compression"}
)
BEAT_HEADERS = frozenset({"periodic_task_name", "celery_beat_task"})
# With these, RabbitMQ delivers copies of a message to any queue.
BROKER_HEADERS = frozenset({"CC", "BCC"})
RESERVED_HEADERS = CELERY_HEADERS | BEAT_HEADERS | BROKER_HEADERS


def wrong_headers(task: PeriodicTask) -> Iterator[Mistake]:
    """Refuse headers that would replace Celery's own, or that AMQP cannot carry."""
    text = task.headers or "{}"
    if len(text.encode()) > MAX_HEADERS_BYTES:
        yield Mistake(
            pointer="/headers",
            code="too_large",
            detail=f"Must be at most {MAX_HEADERS_BYTES} bytes as JSON.",
        )
        return
    for name, value in read_json(text, dict).items():
        pointer = join("/headers", name)
        if name in RESERVED_HEADERS:
            owner = "RabbitMQ" if name in BROKER_HEADERS else "Celery"
            yield Mistake(
                pointer=pointer,
                code="invalid_header",
                detail=f"This name belongs to {owner}: use another, such as 'x-{name.lower()}'.",
            )
        elif detail := _problem_with_name(name) or _problem_with_value(value):
            yield Mistake(pointer=pointer, code="invalid_header", detail=detail)


def _problem_with_name(name: str) -> str:
    if 1 <= len(name.encode()) <= MAX_NAME_BYTES:
        return ""
    return f"A name must be 1 to {MAX_NAME_BYTES} bytes of UTF-8, the limit of AMQP."


def _problem_with_value(value: Any) -> str:
    """Return why AMQP cannot carry a value as it is; "" if it can."""
    match value:
        case int() if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            return "A number is out of range: AMQP has 64 bits."
        case dict():
            if "__type__" in value:
                return "An object with the name __type__ is reserved: Celery would decode it."
            problems = (
                _problem_with_name(name) or _problem_with_value(inner)
                for name, inner in value.items()
            )
            return next(filter(None, problems), "")
        case list():
            return next(filter(None, map(_problem_with_value, value)), "")
    return ""
