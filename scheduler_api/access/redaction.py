"""Redaction: a secret is stored and sent unchanged, and shown as `***`.

Secrets are the values under secret names (`secret_names`), and the passwords within URLs.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from scheduler_api.access.secret_names import is_quantity, is_secret
from scheduler_api.http.problems import join

MASK = "***"
SHORTEST_SECRET = 4  # characters: a shorter text occurs inside words
# The password of a URL, and the value of a parameter in its query.
PASSWORD = re.compile(r"(://[^\s/?#:@]*:)([^\s/?#]+)(?=@)")
PARAMETER = re.compile(r"([?&]([\w.\[\]-]+)=)([^&\s#\"'<>]+)")


def redacted(value: Any) -> Any:
    """Return a value with `***` in place of each secret, at any depth."""
    match value:
        case dict():
            return {
                name: MASK if is_secret(name) and not is_quantity(name, inner) else redacted(inner)
                for name, inner in value.items()
            }
        case list():
            return [*map(redacted, value)]
        case tuple():  # a named one cannot be made from an iterable
            return (*map(redacted, value),)
        case str():
            return redacted_text(value)
    return value


def redacted_text(text: str) -> str:
    """Return a text with `***` in place of the password of each URL in it."""
    if "://" in text:
        text = PASSWORD.sub(rf"\1{MASK}", text)
    if "=" in text and ("?" in text or "&" in text):
        text = PARAMETER.sub(
            lambda found: f"{found[1]}{MASK}" if is_secret(found[2]) else found[0], text
        )
    return text


def may_have_secrets(text: str) -> bool:
    """Return whether a JSON text may have secrets; cheap, for texts that are read often."""
    return "{" in text or "://" in text or "=" in text


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
    if isinstance(sent, str) and isinstance(stored, str) and sent == redacted_text(stored):
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
        case str() if MASK in value and MASK in _secrets_in_text(value):
            yield pointer


def passes_secret(pointer: str) -> bool:
    """Return whether a JSON pointer passes through a secret name."""
    steps = (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/"))
    return any(map(is_secret, steps))


def secrets_in(value: Any) -> set[str]:
    """Return the texts that are secrets, at any depth, but those too short to search for."""
    return {text for text in _secrets_in(value) if len(text) >= SHORTEST_SECRET}


def _secrets_in(value: Any) -> Iterator[str]:
    pending, seen = [(value, False)], set()
    while pending:  # a value may contain itself
        value, is_hidden = pending.pop()
        if isinstance(value, str):
            yield from [value] if is_hidden else _secrets_in_text(value)
        elif isinstance(value, dict | list | tuple) and (id(value), is_hidden) not in seen:
            seen.add((id(value), is_hidden))
            if isinstance(value, dict):
                pending += [(inner, is_hidden or is_secret(name)) for name, inner in value.items()]
            else:
                pending += [(inner, is_hidden) for inner in value]


def _secrets_in_text(text: str) -> list[str]:
    """Return the passwords of the URLs in a text."""
    passwords = [found[2] for found in PASSWORD.finditer(text)] if "://" in text else []
    if "=" in text:
        passwords += [found[3] for found in PARAMETER.finditer(text) if is_secret(found[2])]
    return passwords


def hidden(text: str, secrets: set[str]) -> str:
    """Return a text with `***` in place of the passwords of URLs and of these secrets.

    A secret is found as it is, and as Python and JSON write it within quotes.
    """
    text = redacted_text(text)
    for secret in sorted(secrets, key=len, reverse=True):
        for spelling in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
            text = text.replace(spelling, MASK)
    return text


def hidden_everywhere(value: Any, secrets: set[str]) -> Any:
    """Return a JSON value with `***` in place of the secrets, in names and texts at any depth."""
    match value:
        case dict():
            return {
                hidden(name, secrets): hidden_everywhere(inner, secrets)
                for name, inner in value.items()
            }
        case list():
            return [hidden_everywhere(inner, secrets) for inner in value]
        case str():
            return hidden(value, secrets)
    return value
