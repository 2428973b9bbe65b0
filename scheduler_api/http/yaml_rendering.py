"""YAML answers: block style and no folded lines, so that a diff shows what changed.

What is written is read alike by YAML 1.1 and 1.2: a string that one of them could take for
something else is in quotes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rest_framework.renderers import BaseRenderer, JSONRenderer

from scheduler_api.http.yaml_parsing import MEDIA_TYPE, NOT_PLAIN_TEXT

INDENT = "  "
# A letter, and then nothing that could end the scalar, or begin a comment. Whatever YAML 1.1 or
# 1.2 reads as something else does not start with a letter, but for a few words.
PLAIN = re.compile(r"""[^\W\d](?:[\w./+*@%=,;()$~^<>|!?&'"-]|:(?=[\w/])|[ ](?=[\w(]))*""")
WORDS = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n"])
# One of 1024 characters has to be marked as a key beforehand.
LONGEST_SIMPLE_KEY = 512


class YAMLRenderer(BaseRenderer):
    """Write what JSONRenderer writes, as YAML; a problem stays JSON, as its media type says."""

    media_type = MEDIA_TYPE
    format = "yaml"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body."""
        response = (renderer_context or {}).get("response")
        body = JSONRenderer().render(data)
        if not body or getattr(response, "exception", False):
            return body
        return to_yaml(json.loads(body)).encode()


def to_yaml(document: object) -> str:
    """Write a JSON document, its keys in the order that they have."""
    if isinstance(document, dict | list) and document:
        return "".join(f"{line}\n" for line in _lines(document, ""))
    return f"{_scalar(document)}\n"


def _lines(collection: dict[str, Any] | list[Any], indent: str) -> Iterator[str]:
    """Write a collection that is not empty."""
    if isinstance(collection, list):
        for item in collection:
            yield from _item(item, indent)
        return
    for key, value in collection.items():
        name = _scalar(key)
        if len(name) > LONGEST_SIMPLE_KEY:
            yield f"{indent}? {name}"
            name = ""
        if isinstance(value, dict | list) and value:
            yield f"{indent}{name}:"
            yield from _lines(value, indent + INDENT)
        else:
            yield from _leaf(f"{indent}{name}: ", value, indent)


def _item(item: object, indent: str) -> Iterator[str]:
    """Write one item of a sequence; of a collection, the first line beside the dash."""
    if not (isinstance(item, dict | list) and item):
        yield from _leaf(f"{indent}- ", item, indent)
        return
    lines = _lines(item, indent + INDENT)
    yield f"{indent}- {next(lines).removeprefix(indent + INDENT)}"
    yield from lines


def _leaf(start: str, value: object, indent: str) -> Iterator[str]:
    """Write a value that holds no other; of a text in several lines, each on its own."""
    if not (isinstance(value, str) and _is_literal(value)):
        yield f"{start}{_scalar(value)}"
        return
    yield f"{start}|" if value.endswith("\n") else f"{start}|-"
    for line in value.removesuffix("\n").split("\n"):
        yield f"{indent}{INDENT}{line}" if line else ""


def _is_literal(text: str) -> bool:
    """Tell whether a text has several lines, and no space at the ends of them to get lost."""
    first, *more = lines = text.removesuffix("\n").split("\n")
    return (
        bool(more and first and lines[-1])
        and all(line == line.strip() for line in lines)
        and "\r" not in text
        and not NOT_PLAIN_TEXT.search(text)
    )


def _scalar(value: object) -> str:
    """Write what fits in one line."""
    if isinstance(value, str):
        return value if _is_plain(value) else _quoted(value)
    written = json.dumps(value)
    # YAML 1.1 takes a number for a float only if it has a point.
    is_exponential = isinstance(value, float) and "." not in written
    return written.replace("e", ".0e") if is_exponential else written


def _is_plain(text: str) -> bool:
    return PLAIN.fullmatch(text) is not None and text.lower() not in WORDS


def _quoted(text: str) -> str:
    """Write a text as JSON does, which YAML reads, but for the characters that it refuses."""
    return NOT_PLAIN_TEXT.sub(
        lambda odd: f"\\u{ord(odd[0]):04x}", json.dumps(text, ensure_ascii=False)
    )
