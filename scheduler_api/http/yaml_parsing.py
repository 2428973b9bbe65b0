"""YAML bodies, of which is read what JSON could have said, and nothing else.

The rest of YAML is refused where it stands: anchors, aliases and tags, merge keys, a second
document. So are numbers that YAML 1.1 and 1.2 read differently, or that are not decimal: 012,
0o14, 0x1F. All else that is not quoted, nor a word or a number of the core schema of YAML 1.2
(https://yaml.org/spec/1.2.2/#103-core-schema), is a string: yes, on, 1_000, 1:30, 2027-03-28.
"""

import re
from collections.abc import Mapping
from typing import IO, Any, NoReturn

import yaml
from rest_framework.parsers import BaseParser
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from scheduler_api.http.parsing import (
    MAX_DEPTH,
    DoubledKeys,
    read_float,
    read_integer,
    read_stream,
    read_text,
    refuse_mistakes,
)
from scheduler_api.http.problems import MalformedBody

MEDIA_TYPE = "application/yaml"  # RFC 9512

# libyaml where PyYAML was built with it; both are tested.
LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

# What no YAML has but as an escape, and the line breaks that YAML 1.2 no longer takes for such.
NOT_PLAIN_TEXT = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], None),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
}
STARTS_A_NUMBER = frozenset("+-.0123456789")
INTEGER = re.compile("[-+]?(0|[1-9][0-9]*)")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NOT_DECIMAL = re.compile("[-+]?(0[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class StrictYAMLParser(BaseParser):
    """Read a body of YAML, 32 levels deep at most, that says what JSON can say."""

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
    """Read one YAML document from UTF-8; raise MalformedBody with what is wrong."""
    text = read_text(body)
    if odd := NOT_PLAIN_TEXT.search(text):
        *above, before = text[: odd.start()].split("\n")
        raise MalformedBody(
            f"The character U+{ord(odd[0]):04X} stands at line {len(above) + 1}, "
            f"column {len(before) + 1}; write it as an escape, in double quotes."
        )
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=LOADER):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        at = _at(error.problem_mark or error.context_mark)
        raise MalformedBody(f"The body is not YAML: {error.problem} {at}.") from error
    except (ValueError, OverflowError) as error:  # PyYAML's own scanner, of "\UFFFFFFFF"
        raise MalformedBody("The body is not YAML: an escape is no character.") from error
    if not reader.documents:
        raise MalformedBody("The body is not YAML: there is no document in it.")
    refuse_mistakes(reader.document)
    return reader.document


def read_scalar(scalar: ScalarEvent) -> str | int | float | bool | None:
    """Return what a scalar stands for, by the core schema; raise MalformedBody."""
    text: str = scalar.value
    is_plain = scalar.implicit[0]
    if not is_plain:
        return text
    if text in WORDS:
        return WORDS[text]
    if text[0] not in STARTS_A_NUMBER:
        return text
    if NOT_FINITE.fullmatch(text):
        _refuse(scalar, "There is no such number in JSON", "use null or a string")
    if NOT_DECIMAL.fullmatch(text):
        _refuse(scalar, "Readers differ on this number", "write it in decimal, or in quotes")
    try:
        if INTEGER.fullmatch(text):
            return read_integer(text)
        if FLOAT.fullmatch(text):
            return read_float(text)
    except ValueError as error:
        raise MalformedBody(f"{error} It is {_at(scalar.start_mark)}.") from error
    return text


class _Array:
    """A sequence whose end has not come yet."""

    def __init__(self, start: NodeEvent) -> None:
        self.start = start
        self.value: list[Any] = []

    def add(self, value: object, _: NodeEvent) -> None:
        self.value.append(value)


class _Object:
    """A mapping whose end has not come yet: keys and values come in turn."""

    def __init__(self, start: NodeEvent) -> None:
        self.start = start
        self.value: dict[str, Any] = {}
        self.key: str | None = None

    def add(self, value: object, node: NodeEvent) -> None:
        if self.key is not None:
            self.value[self.key] = value
            self.key = None
            return
        if not isinstance(value, str):
            _refuse(node, "A key is a string", "put it in quotes")
        if value == "<<" and isinstance(node, ScalarEvent) and node.implicit[0]:
            _refuse(node, "There are no merge keys", "write out what is merged")
        if value in self.value and not isinstance(self.value, DoubledKeys):
            self.value = DoubledKeys(self.value)
            self.value.again_at = _at(node.start_mark)
        self.key = value


class _Reader:
    """Builds the document from PyYAML's events, which do not nest as the document does."""

    def __init__(self) -> None:
        self.documents = 0
        self.document: object = None
        self.open: list[_Array | _Object] = []

    def take(self, event: Event) -> None:
        match event:
            case DocumentStartEvent():
                self.begin(event)
            case AliasEvent():
                _refuse(event, "There are no aliases", "write out what it stands for")
            case NodeEvent(anchor=str()):
                _refuse(event, "There are no anchors", "leave it out")
            case ScalarEvent(tag=str()) | CollectionStartEvent(tag=str()):
                _refuse(event, "There are no tags", "leave it out")
            case ScalarEvent():
                self.add(read_scalar(event), event)
            case CollectionStartEvent():
                self.nest(event)
            case CollectionEndEvent():
                closed = self.open.pop()
                self.add(closed.value, closed.start)

    def begin(self, document: DocumentStartEvent) -> None:
        if self.documents:
            _refuse(document, "There is a second document", "send one")
        if document.version not in {None, (1, 2)} or document.tags:
            _refuse(document, "Directives come before it", "leave them out")
        self.documents = 1

    def nest(self, start: CollectionStartEvent) -> None:
        if len(self.open) == MAX_DEPTH:
            _refuse(start, f"There are more than {MAX_DEPTH} levels", "nest less deeply")
        self.open.append(
            _Array(start) if isinstance(start, SequenceStartEvent) else _Object(start)
        )

    def add(self, value: object, node: NodeEvent) -> None:
        if self.open:
            self.open[-1].add(value, node)
        else:
            self.document = value


def _refuse(event: Event, reason: str, remedy: str) -> NoReturn:
    raise MalformedBody(f"{reason}: {_at(event.start_mark)}; {remedy}.")


def _at(mark: Any) -> str:
    return f"at line {mark.line + 1}, column {mark.column + 1}"
