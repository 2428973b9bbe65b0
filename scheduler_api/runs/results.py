"""The result or the error of a run as columns of the ledger, bounded in length."""

import json
from typing import Any

from celery.utils.saferepr import saferepr
from django.core.serializers.json import DjangoJSONEncoder

from scheduler_api.access.redaction import hidden, hidden_everywhere, redacted, secrets_in

MAX_CHARACTERS = 64 * 1024


def result_columns(value: Any, *, arguments: Any = ()) -> dict[str, Any]:
    """Return a result as JSON; as the text of Celery's log if it is not JSON.

    A result that is too long becomes the text of its beginning.
    """
    secrets = secrets_in(arguments)
    shown = value
    try:
        shown = redacted(value)
        text = json.dumps(shown, cls=DjangoJSONEncoder, allow_nan=False)
        if secrets:
            # Within the values: replaced in the text, a secret such as `1234` would break it.
            text = json.dumps(hidden_everywhere(json.loads(text), secrets))
    except (TypeError, ValueError, RecursionError):
        text = json.dumps(hidden(saferepr(shown, MAX_CHARACTERS), secrets))
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
    """Return a text with `***` in place of each secret of the arguments."""
    return hidden(text, secrets_in(arguments))
