"""The result or the error of a run as columns of the ledger, bounded in length and depth.

A task may return or raise anything, also objects whose methods raise. What is stored is text that
each database, JSON reader and webhook receiver can read.
"""

import json
import re
import traceback as tracebacks
from typing import Any

from celery.utils.saferepr import saferepr
from celery.utils.serialization import UnpickleableExceptionWrapper
from django.core.serializers.json import DjangoJSONEncoder

from scheduler_api.access.redaction import hidden, hidden_everywhere, redacted, secrets_in

MAX_CHARACTERS = 64 * 1024
MAX_DEPTH = 100  # of arrays and objects in a result: readers of JSON have their limits
MAX_TYPE_LENGTH = 200

ESCAPE = re.compile(
    r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|(\\ud[89a-f][0-9a-f]{2})|\\.", re.IGNORECASE
)
BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])')
# Python refuses to read a longer number.
LONG_NUMBER = re.compile(r"\d{4301}")


def result_columns(value: Any, *, arguments: Any = ()) -> dict[str, Any]:
    """Return a result as JSON; as the text of Celery's log if it is not JSON.

    A result that is too long becomes the text of its beginning.
    """
    secrets = secrets_in(arguments)
    try:
        text = json.dumps(redacted(value), cls=DjangoJSONEncoder, allow_nan=False)
        if secrets:
            # Within the values: replaced in the text, a secret such as `1234` would break it.
            text = json.dumps(hidden_everywhere(json.loads(text), secrets))
    except Exception:  # noqa: BLE001 - the value's own methods may raise any
        text = json.dumps(text_of(value, secrets))
    text = without_lone_surrogates(text)
    is_truncated = len(text) > MAX_CHARACTERS
    if is_truncated or is_unreadable(text):
        text = json.dumps(text[:MAX_CHARACTERS])
    return {"result": text, "is_result_truncated": is_truncated}


def stored_result(text: str) -> Any:
    """Return a stored result; as text if it cannot be read, or None without one."""
    if not text:
        return None
    try:
        return json.loads(without_lone_surrogates(text))
    except (ValueError, RecursionError):  # stored by an earlier version
        return within(text)


def text_of(value: Any, secrets: set[str]) -> str:
    """Return a value as text without secrets, whatever its methods raise."""
    try:
        try:
            shown = redacted(value)
        except RecursionError:  # it contains itself, or is very deep
            shown = value
        return hidden(saferepr(shown, MAX_CHARACTERS), secrets | secrets_in(value))
    except Exception as error:  # noqa: BLE001 - the value's own methods may raise any
        return unreadable(value, error)


def unreadable(value: object, error: Exception) -> str:
    """Return the text for a value that has none."""
    return f"<{type(value).__qualname__}: reading it raised {type(error).__qualname__}>"


def without_lone_surrogates(text: str) -> str:
    r"""Return JSON in which half of a surrogate pair is shown as text.

    Python writes it as an escape such as `\ud800`, which no UTF-8 can carry.
    """
    if r"\ud" not in text and r"\uD" not in text:
        return text
    return ESCAPE.sub(lambda found: rf"\{found[0]}" if found[1] else found[0], text)


def is_unreadable(text: str) -> bool:
    """Return whether JSON exceeds limits of its readers: its depth, or digits of a number."""
    if text.count("[") + text.count("{") > MAX_DEPTH and depth_of(text) > MAX_DEPTH:
        return True
    return len(text) > MAX_TYPE_LENGTH and LONG_NUMBER.search(text) is not None


def depth_of(text: str) -> int:
    """Return the depth of arrays and objects in JSON."""
    depth = deepest = 0
    for found in BRACKET.finditer(text):
        depth += bool(found[1]) - bool(found[2])
        deepest = max(deepest, depth)
    return deepest


def error_columns(error: BaseException, traceback: Any, *, arguments: Any = ()) -> dict[str, Any]:
    """Return an exception: its class, message and traceback."""
    message, frames = message_of(error), str(traceback or "")
    if len(message) > MAX_CHARACTERS // 2:  # it is at the end of the traceback
        frames = frames.replace(message, f"{message[: MAX_CHARACTERS // 2]} …")
    return {
        "error_type": within(type_name_of(error))[:MAX_TYPE_LENGTH],
        "error_message": within(hide(message, arguments)),
        "traceback": within(hide(frames, arguments), keep_end=True),
    }


def type_name_of(error: BaseException) -> str:
    """Return the name of an exception's class, also inside Celery's wrapper."""
    if isinstance(error, UnpickleableExceptionWrapper):
        return str(error.exc_cls_name)
    return type(error).__qualname__


def message_of(error: object) -> str:
    """Return the message of an exception, whatever its methods raise."""
    try:
        return str(error)
    except Exception as raised:  # noqa: BLE001 - the exception's own methods may raise any
        return unreadable(error, raised)


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an exception."""
    return "".join(tracebacks.format_exception(error))


def within(text: str, *, keep_end: bool = False) -> str:
    """Return a text that PostgreSQL can store, cut to MAX_CHARACTERS."""
    is_cut = len(text) > MAX_CHARACTERS
    text = text[-MAX_CHARACTERS:] if keep_end else text[:MAX_CHARACTERS]
    text = text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
    if not is_cut and len(text) <= MAX_CHARACTERS:
        return text
    return f"… {text[-MAX_CHARACTERS:]}" if keep_end else f"{text[:MAX_CHARACTERS]} …"


def hide(text: str, arguments: Any) -> str:
    """Return a text with `***` in place of each secret of the arguments."""
    return hidden(text, secrets_in(arguments))
