"""Arguments as text, for `argsrepr` and `kwargsrepr`: what Celery writes, sooner."""

from typing import Any

from celery.utils.saferepr import saferepr


def short_repr(value: Any, *, max_length: int, max_levels: int) -> str:
    """Return `saferepr(value, max_length, max_levels)` of a value that was read from JSON.

    saferepr() walks through the value in Python. It writes as repr() does, but

    - it cuts what is longer than `max_length`,
    - it writes `...` for what is nested deeper than `max_levels`,
    - it escapes nothing in a text but `'`; repr() writes other quotes or backslashes wherever
      the two differ.

    Where none of these can be, repr() has the answer. A bracket within a text counts as one
    level too many, and only costs time.
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
