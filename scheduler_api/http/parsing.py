"""JSON bodies, read strictly: what two readers could understand differently is refused."""

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

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32

# A string ends at its quote, or with the text: were the quote required, each of many quotes
# in a body without the last one would be searched to the end of the body.
TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class StrictJSONParser(BaseParser):
    """Read a body of at most 256 KiB, 32 levels deep, that is JSON to the letter.

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
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise BodyTooLarge(f"Send at most {MAX_BYTES} bytes.")
        return parse_json(body)


def refuse_unknown_length(headers: Mapping[str, str]) -> None:
    """Refuse a chunked body: WSGI would hand us an empty one instead, without a word."""
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        raise LengthRequired("Send the body with a Content-Length, not in chunks.")


def read_body(request: Request) -> bytes:
    """Return the body as it was sent, which can be parsed afterwards; raise BodyTooLarge."""
    # Django reads all that Content-Length announces.
    length = request.META.get("CONTENT_LENGTH", "")
    if length.isdecimal() and int(length) > MAX_BYTES:
        raise BodyTooLarge(f"Send at most {MAX_BYTES} bytes.")
    body: bytes = request.body
    return body


def parse_json(body: bytes) -> Any:
    """Read one JSON document from UTF-8; raise MalformedBody with all that is wrong."""
    try:
        text = body.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8: byte {error.start} is wrong.") from error
    if depth(text) > MAX_DEPTH:
        raise MalformedBody(f"The body is nested more than {MAX_DEPTH} levels deep.")
    try:
        document = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedBody(f"The body is not JSON: {error.msg} at {place}.") from error
    except ValueError as error:
        raise MalformedBody(str(error)) from error
    if mistakes := list(_mistakes(document)):
        raise MalformedBody(errors=mistakes)
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


class _DoubledKeys(dict[str, Any]):
    """An object in which a key stands twice; kept until its place in the body is known."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    return read if len(read) == len(pairs) else _DoubledKeys(pairs)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"The body is not JSON: it has no {name}; use null or a string.")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"The number {text[:40]} is too large for a double.")
    return number


def _integer(text: str) -> int:
    if len(text) > 400:  # noqa: PLR2004 - int() takes quadratic time, and Python caps it
        raise ValueError(f"The number {text[:40]}… has too many digits; send it as a string.")
    return int(text)


def _mistakes(value: object, pointer: str = "") -> Iterator[Mistake]:
    match value:
        case str() if UNSTORABLE.search(value):
            yield _unstorable(pointer)
        case dict():
            if isinstance(value, _DoubledKeys):
                yield Mistake(
                    pointer=pointer,
                    code="duplicate_key",
                    detail="A key stands twice in this object; send each once.",
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
