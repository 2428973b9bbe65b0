"""Secrets: what has a telling name is stored and sent as it is, and shown as stars."""

import json
import re
from collections.abc import Iterator
from fnmatch import translate
from functools import cache
from typing import Any

from django.conf import settings

from scheduler_api.http.problems import join

STARS = "***"


def is_secret(name: object) -> bool:
    """Tell whether a value of this name is not to be shown: the setting REDACTED_KWARGS does."""
    return bool(_expression(tuple(settings.REDACTED_KWARGS)).match(str(name)))


@cache
def _expression(patterns: tuple[str, ...]) -> re.Pattern[str]:
    nothing = "(?!)"
    return re.compile("|".join(map(translate, patterns)) or nothing, re.IGNORECASE)


def redacted(value: Any) -> Any:
    """Return a value with stars in the place of each secret, at any depth."""
    match value:
        case dict():
            return {
                name: STARS if is_secret(name) else redacted(inner)
                for name, inner in value.items()
            }
        case list() | tuple():
            return type(value)(map(redacted, value))
    return value


def restored(sent: Any, stored: Any) -> Any:
    """Return what was sent, with the stored secrets in the place of their stars.

    An object takes them back name by name; a list only as a whole, as it was read: where its
    items have moved, the stars of one would become the secret of another.
    """
    if isinstance(sent, dict) and isinstance(stored, dict):
        return {
            name: stored[name]
            if inner == STARS and is_secret(name) and name in stored
            else restored(inner, stored.get(name))
            for name, inner in sent.items()
        }
    if isinstance(sent, list) and _text(sent) == _text(redacted(stored)):
        return stored
    return sent


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)  # 1 and true are equal to Python


def stars_in(value: Any, pointer: str) -> Iterator[str]:
    """Yield the pointer to each secret that is nothing but stars."""
    match value:
        case dict():
            for name, inner in value.items():
                if inner == STARS and is_secret(name):
                    yield join(pointer, name)
                else:
                    yield from stars_in(inner, join(pointer, name))
        case list():
            for index, inner in enumerate(value):
                yield from stars_in(inner, join(pointer, index))


def leads_to_secret(pointer: str) -> bool:
    """Tell whether a JSON pointer goes through a name of a secret."""
    steps = (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/"))
    return any(map(is_secret, steps))
