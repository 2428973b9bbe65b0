"""The result or the error of a run as columns of the ledger, bounded in length."""

import json
from collections.abc import Iterator
from typing import Any

from celery.utils.saferepr import saferepr
from django.core.serializers.json import DjangoJSONEncoder

from scheduler_api.access.redaction import MASK, is_secret, redacted

MAX_CHARACTERS = 64 * 1024
SHORTEST_SECRET = 4  # characters: a shorter text occurs inside words


def result_columns(value: Any, *, arguments: Any = ()) -> dict[str, Any]:
    """Return a result as JSON; as the text of Celery's log if it is not JSON.

    A result that is too long becomes the text of its beginning.
    """
    try:
        text = json.dumps(redacted(value), cls=DjangoJSONEncoder, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        text = json.dumps(saferepr(value, MAX_CHARACTERS))
    text = hide(text, arguments)
    is_truncated = len(text) > MAX_CHARACTERS
    if is_truncated:
        text = json.dumps(text[:MAX_CHARACTERS])
    return {"result": text, "is_result_truncated": is_truncated}


def error_columns(error: BaseException, traceback: Any, *, arguments: Any = ()) -> dict[str, Any]:
    """Return an exception: its class, message and traceback."""
    return {
        "error_type": type(error).__qualname__[:200],
        "error_message": within(hide(str(error), arguments)),
        "traceback": within(hide(str(traceback or ""), arguments), keep_end=True),
    }


def within(text: str, *, keep_end: bool = False) -> str:
    """Return a text that PostgreSQL can store, cut to MAX_CHARACTERS."""
    text = text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
    if len(text) <= MAX_CHARACTERS:
        return text
    return f"… {text[-MAX_CHARACTERS:]}" if keep_end else f"{text[:MAX_CHARACTERS]} …"


def hide(text: str, arguments: Any) -> str:
    """Return a text in which each secret of the arguments is replaced by stars."""
    for secret in sorted(secrets_in(arguments), key=len, reverse=True):
        text = text.replace(secret, MASK).replace(json.dumps(secret)[1:-1], MASK)
    return text


def secrets_in(value: Any) -> Iterator[str]:
    """Yield the texts with the name of a secret, at any depth."""
    match value:
        case dict():
            for name, inner in value.items():
                if isinstance(inner, str) and is_secret(name):
                    if len(inner) >= SHORTEST_SECRET:
                        yield inner
                else:
                    yield from secrets_in(inner)
        case list() | tuple():
            for inner in value:
                yield from secrets_in(inner)
