"""Bodies, read strictly: what two readers could understand differently is refused."""

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
MAX_BYTES_OF_MANY = 8 * 1024 * 1024  # where one body is about many rows
MAX_DEPTH = 32

# A string ends at its quote, or with the text: were the quote required, each of many quotes
# in a body without the last one would be searched to the end of the body.
TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class StrictJSONParser(BaseParser):
    """Read a body, 32 levels deep at most, that is JSON to the letter.

    Beyond the grammar it refuses keys that are doubled, NaN and infinities, NUL characters
    and lone surrogates: a database, or the next program, would trip over them.

    It is not a JSONParser, for which REST framework reads the whole body beforehand.
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
    """Refuse a chunked body: WSGI would hand us an empty one instead, without a word."""
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        raise LengthRequired("Send the body with a Content-Length, not in chunks.")


def max_bytes(parser_context: Mapping[str, Any] | None) -> int:
    """Return how long a body may be that is sent to the view of this context."""
    view = (parser_context or {}).get("view")
    limit: int = getattr(view, "max_body_bytes", DEFAULT_MAX_BYTES)
    return limit


def read_stream(stream: IO[Any], parser_context: Mapping[str, Any] | None) -> bytes:
    """Return the body as it was sent, for a parser; raise BodyTooLarge."""
    limit = max_bytes(parser_context)
    body: bytes = stream.read(limit + 1)
    if len(body) > limit:
        raise BodyTooLarge(f"Send at most {limit} bytes.")
    return body


def read_body(request: Request) -> bytes:
    """Return the body as it was sent, which can be parsed afterwards; raise BodyTooLarge."""
    # Django reads all that Content-Length announces.
    limit = max_bytes(request.parser_context)
    length = request.META.get("CONTENT_LENGTH", "")
    if length.isdecimal() and int(length) > limit:
        raise BodyTooLarge(f"Send at most {limit} bytes.")
    body: bytes = request.body
    return body


def read_text(body: bytes) -> str:
    """Decode a body; raise MalformedBody where it is not UTF-8."""
    try:
        return body.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8: byte {error.start} is wrong.") from error


def parse_json(body: bytes) -> Any:
    """Read one JSON document from UTF-8; raise MalformedBody with all that is wrong."""
    text = read_text(body)
    if depth(text) > MAX_DEPTH:
        raise MalformedBody(f"The body is nested more than {MAX_DEPTH} levels deep.")
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
        raise MalformedBody(f"The body is not JSON: {error.msg} at {place}.") from error
    except ValueError as error:
        raise MalformedBody(str(error)) from error
    refuse_mistakes(document)
    return document


def depth(text: str) -> int:
    """Return how deep the brackets nest, without the recursion that parsing them needs."""
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
    read = dict(pairs)
    return read if len(read) == len(pairs) else DoubledKeys(pairs)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"The body is not JSON: it has no {name}; use null or a string.")


# --- What holds for a document, whatever it is written in ------------------------------------


class DoubledKeys(dict[str, Any]):
    """An object in which a key stands twice; kept until its place in the document is known."""

    again_at = ""  # where in the text, if that is known


def read_float(text: str) -> float:
    """Return the number; raise ValueError if no double is as large."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"The number {text[:40]} is too large for a double.")
    return number


def read_integer(text: str) -> int:
    """Return the number; raise ValueError if it has more than 400 digits."""
    if len(text) > 400:  # noqa: PLR2004 - int() takes quadratic time, and Python caps it
        raise ValueError(f"The number {text[:40]}… has too many digits; send it as a string.")
    return int(text)


def refuse_mistakes(document: object) -> None:
    """Raise MalformedBody with all keys that are doubled, and all text that cannot be stored."""
    if mistakes := list(_mistakes(document)):
        raise MalformedBody(errors=mistakes)


def _mistakes(value: object, pointer: str = "") -> Iterator[Mistake]:
    match value:
        case str() if UNSTORABLE.search(value):
            yield _unstorable(pointer)
        case dict():
            if isinstance(value, DoubledKeys):
                again = f", again {value.again_at}" if value.again_at else ""
                yield Mistake(
                    pointer=pointer,
                    code="duplicate_key",
                    detail=f"A key stands twice in this object{again}; send each once.",
                )
            for key, inner in value.items():
                if UNSTORABLE.search(key):
                    yield _unstorable(pointer)
                else:
                    yield from _mistakes(inner, join(pointer, key))
        case list():
            for index, inner in enumerate(value):
                yield from _mistakes(inner, join(pointer, index))


def _unstorable(pointer: str) -> Mistake:
    return Mistake(
        pointer=pointer,
        code="unstorable_character",
        detail="Text with a NUL character or half a surrogate pair cannot be stored.",
    )
