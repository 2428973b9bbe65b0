"""Arguments as text for the headers `argsrepr` and `kwargsrepr`, faster than by Celery."""

from typing import Any

from celery.utils.saferepr import saferepr


def short_repr(value: Any, *, max_length: int, max_levels: int) -> str:
    """Return `saferepr(value, max_length, max_levels)` of a value that was read from JSON.

    saferepr() walks through the value in Python. It writes as repr() does, with three exceptions:

    - it cuts text longer than `max_length`,
    - it writes `...` for values nested deeper than `max_levels`,
    - it escapes only `'` in a string; repr() writes other quotes or backslashes wherever the two
      differ.

    Where none of the three can apply, the result of repr() is returned. A bracket within a string
    counts as one level too many, and only costs time.
    """
    text = repr(value)
    if (
        len(text) < max_length
        and "\\" not in text
        and '"' not in text
        and (not max_levels or text.count("[") + text.count("{") <= max_levels)
    ):
        return text
    return saferepr(value, max_length, max_levels)
