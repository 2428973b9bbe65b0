"""Names of secrets: whether the setting REDACTED_KWARGS matches a name, in any spelling.

A name is read as words: `privateKey`, `private_key`, `PRIVATE-KEY` and `private.key2` have the
words `private` and `key`. A pattern without `*` or `?` matches its words anywhere in the name, and
`private_key` also matches `privatekey`. A pattern with one of them matches the whole name.
"""

import re
from collections.abc import Iterator
from fnmatch import translate
from functools import lru_cache

from django.conf import settings

# Between two words: other characters, a change to upper case, the end of an acronym, a digit.
BOUNDARY = re.compile(
    r"[\W_]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"
)
# A number under a name with one of these words is a quantity: `tokens_used`, `max_token_count`.
QUANTITIES = {"count", "length", "limit", "max", "min", "size", "tokens"}
MAX_CACHED_NAMES = 4096


def is_secret(name: object) -> bool:
    """Return whether a value with this name is a secret."""
    return _matches(str(name), tuple(settings.REDACTED_KWARGS))


def is_quantity(name: object, value: object) -> bool:
    """Return whether a value is a number that its name describes as a quantity."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and not QUANTITIES.isdisjoint(_words(str(name)))


def _words(name: str) -> list[str]:
    return [word.lower() for word in BOUNDARY.split(name) if word]


@lru_cache(MAX_CACHED_NAMES)
def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    words = _words(name)
    spellings = {name.lower(), "_".join(words)}
    return any(
        _is_within(tuple(_words(pattern)), words)
        if not set("*?[") & set(pattern)
        else any(_expression(pattern).match(spelling) for spelling in spellings)
        for pattern in patterns
    )


def _is_within(wanted: tuple[str, ...], words: list[str]) -> bool:
    if len(wanted) > 1 and "".join(wanted) in "".join(words):
        return True
    return wanted in _runs(words, length=len(wanted))


def _runs(words: list[str], *, length: int) -> Iterator[tuple[str, ...]]:
    """Yield all runs of consecutive words of a length."""
    return (tuple(words[start : start + length]) for start in range(len(words) - length + 1))


@lru_cache(MAX_CACHED_NAMES)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern), re.IGNORECASE)
