"""Strict parsing of request bodies: input that two parsers could read differently is refused."""

import codecs
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any, NoReturn

from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from scheduler_api.http.problems import (
    MAX_ERRORS,
    BodyTooLarge,
    LengthRequired,
    MalformedBody,
    Mistake,
    first_mistakes,
    join,
)

DEFAULT_MAX_BYTES = 256 * 1024
BULK_MAX_BYTES = 8 * 1024 * 1024  # for operations whose body describes many rows
MAX_DEPTH = 32
# The number of keys and values in a body, in JSON or YAML. The bound on bytes alone does not bound
# time and memory: 8 MiB hold 4 million values. A manifest of 10,000 tasks has 40 for each.
MAX_NODES = 400_000
# Each key and value but the first follows one of these.
BEFORE_NODES = "[{,:"
# A value has four tokens at most: its string, what is before it, and two brackets.
MAX_TOKENS = 4 * MAX_NODES

# A string ends at its closing quote or with the text. If the quote were required, a body of many
# quotes and no closing one would be searched to its end once for each quote.
TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{,:\]}]', re.DOTALL)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
TYPES_WITH_TEXT = (str, dict, list)


class StrictJSONParser(BaseParser):
    """Parse a JSON body of at most 32 levels and 400,000 keys and values.

    Beyond the grammar it refuses duplicate keys, NaN, infinities, NUL characters and lone
    surrogates, because a database or the next program would fail on them.

    It does not subclass JSONParser: REST framework reads the whole body before it calls that one.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the document; raise MalformedBody or BodyTooLarge."""
        return parse_json(read_stream(stream, parser_context))


def refuse_unknown_length(headers: Mapping[str, str]) -> None:
    """Refuse a chunked body: WSGI would silently pass an empty one instead."""
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        raise LengthRequired("Send the body with a Content-Length, not in chunks.")


def max_bytes(parser_context: Mapping[str, Any] | None) -> int:
    """Return the maximum body length, in bytes, of the view in this context."""
    view = (parser_context or {}).get("view")
    limit: int = getattr(view, "max_body_bytes", DEFAULT_MAX_BYTES)
    return limit


def read_stream(stream: IO[Any], parser_context: Mapping[str, Any] | None) -> bytes:
    """Return the raw body for a parser; raise BodyTooLarge."""
    limit = max_bytes(parser_context)
    body: bytes = stream.read(limit + 1)
    if len(body) > limit:
        raise BodyTooLarge(f"Send at most {limit} bytes.")
    return body


def read_body(request: Request) -> bytes:
    """Return the raw body and keep it, because parsing consumes it; raise BodyTooLarge."""
    # Django reads as much as Content-Length announces.
    limit = max_bytes(request.parser_context)
    length = request.META.get("CONTENT_LENGTH", "")
    if length.isdecimal() and int(length) > limit:
        raise BodyTooLarge(f"Send at most {limit} bytes.")
    body: bytes = request.body
    return body


def parse_body(request: Request, *, is_kept: bool) -> Any:
    """Return the parsed body; with `is_kept`, `read_body` can return the raw one afterwards.

    Without this call, REST framework reads the body where an action first asks for it.

    Raises:
        MalformedBody: the body cannot be parsed.
        BodyTooLarge: the body exceeds a limit of its view.
        UnsupportedMediaType: no parser of the view reads its media type.

    """
    if is_kept:
        read_body(request)
    return request.data


def read_text(body: bytes) -> str:
    """Decode a body from UTF-8; raise MalformedBody."""
    try:
        return body.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(
            f"The body is not valid UTF-8 at byte {error.start}. Encode it as UTF-8."
        ) from error


def parse_json(body: bytes) -> Any:
    """Parse one JSON document in UTF-8; raise MalformedBody or BodyTooLarge with the reason."""
    text = read_text(body)
    refuse_dense(text)
    try:
        document = json.loads(
            text,
            object_pairs_hook=_Objects(),
            parse_constant=_refuse_constant,
            parse_float=read_float,
            parse_int=read_integer,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedBody(f"The body is not valid JSON: {error.msg} at {place}.") from error
    except ValueError as error:
        raise MalformedBody(str(error)) from error
    refuse_mistakes(document)
    return document


def refuse_dense(text: str) -> None:
    """Raise BodyTooLarge or MalformedBody for too many values or levels, before they are built."""
    if sum(map(text.count, BEFORE_NODES)) < MAX_NODES and sum(map(text.count, "[{")) <= MAX_DEPTH:
        return  # even if no such character were part of a string
    nodes, level = 1, 0
    for tokens, token in enumerate(TOKENS.finditer(text)):
        first = text[token.start()]
        nodes += first in BEFORE_NODES
        if nodes > MAX_NODES or tokens > MAX_TOKENS:
            raise too_many_nodes(MAX_NODES)
        if first in "[{":
            level += 1
            if level > MAX_DEPTH:
                raise MalformedBody(
                    f"The body is nested more than {MAX_DEPTH} levels deep. Nest it less deeply."
                )
        elif first in "]}":
            level -= 1


def too_many_nodes(most: int, place: str = "") -> BodyTooLarge:
    """Return the refusal of a body with more than `most` keys and values."""
    return BodyTooLarge(
        f"The body has more than {most:,} keys and values{place}. Send fewer in one body."
    )


class _Objects:
    """Make the objects of one document; keep only as many with a duplicate key as are listed."""

    def __init__(self) -> None:
        self.duplicates = 0

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        self.duplicates += 1
        return DuplicateKeys(members) if self.duplicates <= MAX_ERRORS + 1 else members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"The body is not valid JSON: {name} is no JSON value. Use null or a string.")


# --- Rules for a document in any media type ---------------------------------------------------


class DuplicateKeys(dict[str, Any]):
    """An object with a duplicate key, kept until its pointer in the document is known."""

    duplicate_place = ""  # line and column of the first duplicate, if known


def read_float(text: str) -> float:
    """Return the number; raise ValueError if it exceeds the range of a double."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(
            f"The number {text[:40]} is too large for a double. Send a smaller one or a string."
        )
    return number


def read_integer(text: str) -> int:
    """Return the number; raise ValueError if it has more than 400 digits."""
    if len(text) > 400:  # noqa: PLR2004 - int() takes quadratic time, and Python limits it
        raise ValueError(f"The number {text[:40]}… has too many digits. Send it as a string.")
    return int(text)


def refuse_mistakes(document: object) -> None:
    """Raise MalformedBody for duplicate keys and for text that cannot be stored."""
    if mistakes := first_mistakes(_mistakes(document)):
        raise MalformedBody(errors=mistakes)


def _mistakes(value: object, path: tuple[object, ...] = ()) -> Iterator[Mistake]:
    # A body can hold a value in every two bytes: a pointer or a generator for each one would take
    # seconds. Only a mistake gets a pointer, and only a value that may hold text a generator.
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            yield _unstorable(path)
    elif isinstance(value, dict):
        if isinstance(value, DuplicateKeys):
            place = f" at {value.duplicate_place}" if value.duplicate_place else ""
            yield Mistake(
                pointer=join("", *path),
                code="duplicate_key",
                detail=f"This object repeats a key{place}. Send each key once.",
            )
        for key, inner in value.items():
            if UNSTORABLE.search(key):
                yield _unstorable(path)
            elif inner and isinstance(inner, TYPES_WITH_TEXT):
                yield from _mistakes(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if inner and isinstance(inner, TYPES_WITH_TEXT):
                yield from _mistakes(inner, (*path, index))


def _unstorable(path: tuple[object, ...]) -> Mistake:
    return Mistake(
        pointer=join("", *path),
        code="unstorable_character",
        detail="Text with a NUL character or a lone surrogate cannot be stored. Remove it.",
    )
