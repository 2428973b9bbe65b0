"""Redaction: a value under a secret name is stored and sent unchanged, and shown as `***`."""

import json
import re
from collections.abc import Iterator
from fnmatch import translate
from functools import cache
from typing import Any

from django.conf import settings

from scheduler_api.http.problems import join

MASK = "***"


def is_secret(name: object) -> bool:
    """Return whether the setting REDACTED_KWARGS matches a name."""
    return bool(_expression(tuple(settings.REDACTED_KWARGS)).match(str(name)))


@cache
def _expression(patterns: tuple[str, ...]) -> re.Pattern[str]:
    nothing = "(?!)"
    return re.compile("|".join(map(translate, patterns)) or nothing, re.IGNORECASE)


def redacted(value: Any) -> Any:
    """Return a value with `***` in place of each secret, at any depth."""
    match value:
        case dict():
            return {
                name: MASK if is_secret(name) else redacted(inner) for name, inner in value.items()
            }
        case list() | tuple():
            return type(value)(map(redacted, value))
    return value


def restored(sent: Any, stored: Any) -> Any:
    """Return a sent value with the stored secrets in place of `***`.

    An object is restored name by name, a list only if the caller sends it exactly as read: if its
    items moved, one item would get the secret of another.
    """
    if isinstance(sent, dict) and isinstance(stored, dict):
        return {
            name: stored[name]
            if inner == MASK and is_secret(name) and name in stored
            else restored(inner, stored.get(name))
            for name, inner in sent.items()
        }
    if isinstance(sent, list) and _text(sent) == _text(redacted(stored)):
        return stored
    return sent


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)  # Python compares 1 and True as equal


def masked_pointers(value: Any, pointer: str) -> Iterator[str]:
    """Yield the JSON pointer to each secret whose value is `***`."""
    match value:
        case dict():
            for name, inner in value.items():
                if inner == MASK and is_secret(name):
                    yield join(pointer, name)
                else:
                    yield from masked_pointers(inner, join(pointer, name))
        case list():
            for index, inner in enumerate(value):
                yield from masked_pointers(inner, join(pointer, index))


def passes_secret(pointer: str) -> bool:
    """Return whether a JSON pointer passes through a secret name."""
    steps = (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/"))
    return any(map(is_secret, steps))
