"""YAML request bodies, restricted to the values that JSON can express.

The parser refuses the rest of YAML and reports its line and column: anchors, aliases, tags, merge
keys and a second document. It also refuses numbers that YAML 1.1 and 1.2 read differently or that
are not decimal: 012, 0o14, 0x1F. Every other unquoted scalar is a string, unless the core schema
of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema) defines it as null, a boolean or a
number: yes, on, 1_000, 1:30 and 2027-03-28 are strings.
"""

import re
from collections.abc import Mapping
from typing import IO, Any, NoReturn

import yaml
from rest_framework.parsers import BaseParser
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from scheduler_api.http.parsing import (
    MAX_DEPTH,
    MAX_NODES,
    DuplicateKeys,
    read_float,
    read_integer,
    read_stream,
    read_text,
    refuse_mistakes,
    too_many_nodes,
)
from scheduler_api.http.problems import MAX_ERRORS, MalformedBody

MEDIA_TYPE = "application/yaml"  # RFC 9512

# Characters that YAML allows only as escapes, and line breaks of YAML 1.1 that 1.2 dropped.
NOT_PLAIN_TEXT = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], None),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
}
NUMBER_STARTS = frozenset("+-.0123456789")
NUMBER = re.compile(
    r"(?P<not_finite>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
    r"|(?P<not_decimal>[-+]?(?:0[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+))"
    r"|(?P<integer>[-+]?(?:0|[1-9][0-9]*))"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
)


class StrictYAMLParser(BaseParser):
    """Parse a YAML body of at most 32 levels and 400,000 values that JSON can express."""

    media_type = MEDIA_TYPE

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the document; raise MalformedBody or BodyTooLarge."""
        return parse_yaml(read_stream(stream, parser_context))


def parse_yaml(body: bytes) -> Any:
    """Parse one YAML document in UTF-8; raise MalformedBody or BodyTooLarge with the reason."""
    text = read_text(body)
    if forbidden := NOT_PLAIN_TEXT.search(text):
        lines_above = text.count("\n", 0, forbidden.start())
        line_start = text.rfind("\n", 0, forbidden.start()) + 1
        raise MalformedBody(
            f"The character U+{ord(forbidden[0]):04X} is not allowed "
            f"(line {lines_above + 1}, column {forbidden.start() - line_start + 1}). "
            "Write it as an escape, in double quotes."
        )
    loader = LOADER(text)
    try:
        document = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        place = _place(error.problem_mark or error.context_mark)
        raise MalformedBody(f"The body is not valid YAML: {error.problem} ({place}).") from error
    except (ValueError, OverflowError) as error:  # PyYAML's own scanner, of "\UFFFFFFFF"
        raise MalformedBody(
            "The body is not valid YAML: an escape names no Unicode character. Correct the escape."
        ) from error
    finally:
        loader.dispose()
    refuse_mistakes(document)
    return document


def read_scalar(scalar: ScalarEvent) -> str | int | float | bool | None:
    """Return the value of a scalar by the core schema; raise MalformedBody."""
    text: str = scalar.value
    is_plain = scalar.implicit[0]
    if not is_plain:
        return text
    if text in WORDS:
        return WORDS[text]
    if text[0] not in NUMBER_STARTS or not (number := NUMBER.fullmatch(text)):
        return text
    match number.lastgroup:
        case "not_finite":
            _refuse(scalar, "JSON has no infinity and no NaN", "Use null or a string")
        case "not_decimal":
            _refuse(
                scalar,
                "YAML 1.1 and 1.2 read this number differently",
                "Write it in decimal, or in quotes",
            )
    try:
        return read_integer(text) if number.lastgroup == "integer" else read_float(text)
    except ValueError as error:
        raise MalformedBody(f"{error} It is at {_place(scalar.start_mark)}.") from error


class Restrictions:
    """Restrict a SafeLoader of PyYAML to JSON's values; `restrict()` combines the two.

    The loader builds the document while it parses. SafeLoader first composes a tree of nodes,
    which takes 10 microseconds and 700 bytes for each, and loses the place of an anchor.
    """

    nodes = 0
    depth = 0
    duplicates = 0
    get_event: Any  # the parser's, in C or in Python

    def get_single_data(self) -> Any:
        """Return the only document; replaces BaseConstructor.get_single_data."""
        self.get_event()  # the start of the stream
        start = self.get_event()
        if isinstance(start, StreamEndEvent):
            raise MalformedBody("The body has no YAML document. Send one.")
        _refuse_directives(start)
        document = self.read_value(self.get_event())
        self.get_event()  # the end of the document
        following = self.get_event()
        if not isinstance(following, StreamEndEvent):
            _refuse(following, "The body has a second document", "Send one document")
        return document

    def read_value(self, event: Any) -> Any:
        """Return the value that starts with this event."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise too_many_nodes(MAX_NODES, f" ({_place(event.start_mark)})")
        if event.anchor is not None or event.tag is not None:
            _refuse_property(event)
        if type(event) is ScalarEvent:
            return read_scalar(event)
        if self.depth == MAX_DEPTH:
            _refuse(event, f"The body has more than {MAX_DEPTH} levels", "Nest it less deeply")
        self.depth += 1
        read = self.read_array if type(event) is SequenceStartEvent else self.read_object
        value = read()
        self.depth -= 1
        return value

    def read_array(self) -> list[Any]:
        """Return a sequence whose start has been read."""
        array: list[Any] = []
        while type(event := self.get_event()) is not SequenceEndEvent:
            array.append(self.read_value(event))
        return array

    def read_object(self) -> dict[str, Any]:
        """Return a mapping whose start has been read, as DuplicateKeys if a key is repeated."""
        members: dict[str, Any] = {}
        while type(event := self.get_event()) is not MappingEndEvent:
            key = self.read_value(event)
            if not isinstance(key, str):
                _refuse(event, "A key is not a string", "Put it in quotes")
            if key == "<<" and event.implicit[0]:
                _refuse(event, "Merge keys are not allowed", "Write the merged keys out")
            is_first = key in members and not isinstance(members, DuplicateKeys)
            if is_first and self.duplicates <= MAX_ERRORS:  # as many as are listed, and one more
                self.duplicates += 1
                members = DuplicateKeys(members)
                members.duplicate_place = _place(event.start_mark)
            members[key] = self.read_value(self.get_event())
        return members


def restrict(loader: Any) -> Any:
    """Return a restricted class of this SafeLoader or CSafeLoader; both refuse the same."""
    return type("RestrictedLoader", (Restrictions, loader), {})


# PyYAML's parser in C, libyaml, where PyYAML was built with it. The parser in Python needs 10 to
# 20 times as long, and longest for text without values, such as comments.
LOADER = restrict(getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _refuse_directives(start: DocumentStartEvent) -> None:
    if start.version not in {None, (1, 2)} or start.tags:
        _refuse(start, "Directives are not allowed, except %YAML 1.2", "Remove them")


def _refuse_property(event: Event) -> NoReturn:
    if isinstance(event, AliasEvent):
        _refuse(event, "Aliases are not allowed", "Repeat the value")
    if getattr(event, "anchor", None) is not None:
        _refuse(event, "Anchors are not allowed", "Remove it")
    _refuse(event, "Tags are not allowed", "Remove it")


def _refuse(event: Event, reason: str, remedy: str) -> NoReturn:
    raise MalformedBody(f"{reason} ({_place(event.start_mark)}). {remedy}.")


def _place(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"
