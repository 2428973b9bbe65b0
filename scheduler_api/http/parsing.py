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
    BodyTooLarge,
    LengthRequired,
    MalformedBody,
    Mistake,
    join,
)

DEFAULT_MAX_BYTES = 256 * 1024
BULK_MAX_BYTES = 8 * 1024 * 1024  # for operations whose body describes many rows
MAX_DEPTH = 32

# A string ends at its closing quote or with the text. If the quote were required, a body of many
# quotes and no closing one would be searched to its end once for each quote.
TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
TYPES_WITH_TEXT = (str, dict, list)


class StrictJSONParser(BaseParser):
    """Parse a JSON body of at most 32 levels.

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
    """Parse one JSON document in UTF-8; raise MalformedBody with every mistake."""
    text = read_text(body)
    if depth(text) > MAX_DEPTH:
        raise MalformedBody(
            f"The body is nested more than {MAX_DEPTH} levels deep. Nest it less deeply."
        )
    try:
        document = json.loads(
            text,
            object_pairs_hook=_object,
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


def depth(text: str) -> int:
    """Return the nesting depth of the brackets, without the recursion that parsing needs."""
    level = deepest = 0
    for token in TOKENS.finditer(text):
        first = token[0][0]
        if first in "[{":
            level += 1
            deepest = max(deepest, level)
        elif first in "]}":
            level -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else DuplicateKeys(pairs)


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
    """Raise MalformedBody with all duplicate keys and all text that cannot be stored."""
    if mistakes := list(_mistakes(document)):
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
