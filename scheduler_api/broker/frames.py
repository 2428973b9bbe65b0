"""Encodes a message as AMQP 0-9-1 frames.

The specification, section 4.2: a frame is its type (1 method, 2 content header, 3 body), channel,
size, payload and 0xCE. A message is basic.publish, the content header with its properties, and
body frames of at most `frame_max` bytes.
"""

import json
import struct
from collections.abc import Mapping
from functools import lru_cache
from struct import Struct
from typing import Any
from uuid import uuid4

from amqp import Message as Content
from amqp.exceptions import FrameSyntaxError
from amqp.serialization import dumps

from scheduler_api.broker.capture import Message, Unsendable
from scheduler_api.broker.message_arguments import MAX_CACHED_LENGTH
from scheduler_api.broker.message_templates import MessageFields, MessageTemplate

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
END = b"\xce"
FRAME_OVERHEAD_BYTES = 8  # all of a frame but its payload
BASIC, PUBLISH = 60, 40
# RabbitMQ closes the channel over a larger one. The worker reads the header `expires` instead.
MAX_EXPIRATION_MILLISECONDS = 2**32 - 1
MAX_SHORT_STRING_BYTES = 255  # also the largest octet
# RabbitMQ's default `max_message_size`: it closes the channel over a larger body.
MAX_BODY_BYTES = 16 * 1024 * 1024

NAME_KEY = b"\x12periodic_task_nameS"

frame_head = Struct(">BHI")
# The head of a frame and the start of a content header: class, weight, size of the body.
header_head = Struct(">BHIHHQ")
long = Struct(">I").pack
HEADER_START = header_head.size - frame_head.size


def frame(kind: int, channel_number: int, payload: bytes) -> bytes:
    return frame_head.pack(kind, channel_number, len(payload)) + payload + END


def method(channel_number: int, signature: tuple[int, int], types: str = "", *args: Any) -> bytes:
    """Return the frame of a method; `types` has the format of amqp.serialization.dumps."""
    head = signature[0].to_bytes(2, "big") + signature[1].to_bytes(2, "big")
    return frame(METHOD, channel_number, head + dumps(types, args))


def encode(message: Message, *, channel_number: int, frame_max: int) -> bytes:
    """Return all frames of a message.

    It is published as mandatory: RabbitMQ returns a message that no queue receives. Raises
    Unsendable if AMQP cannot represent the message.
    """
    try:
        publish, properties = encode_publish(message, channel_number), encode_properties(message)
    except (struct.error, FrameSyntaxError, ValueError) as error:
        raise Unsendable(unencodable(message)) from error
    check_size(HEADER_START + len(properties), len(message.body), frame_max)
    head = header_head.pack(
        HEADER, channel_number, HEADER_START + len(properties), BASIC, 0, len(message.body)
    )
    return b"".join(
        (publish, head, properties, END, body_frames(message.body, channel_number, frame_max))
    )


def encode_publish(message: Message, channel_number: int) -> bytes:
    args = (0, message.exchange, message.routing_key, True, False)
    return method(channel_number, (BASIC, PUBLISH), "Bssbb", *args)


def encode_properties(message: Message) -> bytes:
    properties = {**message.properties}
    if "expiration" in properties:
        properties["expiration"] = within_limit(properties["expiration"])
    content = Content(
        message.body,
        priority=message.priority,
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        application_headers=message.headers,
        **properties,
    )
    encoded: bytes = content._serialize_properties()  # type: ignore[attr-defined]
    return encoded


def encode_headers(headers: str) -> bytes:
    """Return the entries of a table, from a JSON object; raises Unsendable."""
    if len(headers) < MAX_CACHED_LENGTH:
        return _encode_short_headers(headers)
    return _encode_headers(headers)


def _encode_headers(headers: str) -> bytes:
    table = json.loads(headers)
    try:
        return dumps("F", (table,))[4:]  # without the length of the table
    except (struct.error, FrameSyntaxError, ValueError) as error:
        raise Unsendable(unencodable_header(table)) from error


_encode_short_headers = lru_cache(4096)(_encode_headers)


def within_limit(expiration: str) -> str:
    """Return an expiration that RabbitMQ accepts: 49 days at most."""
    is_number = expiration.isascii() and expiration.isdecimal()
    return str(min(int(expiration), MAX_EXPIRATION_MILLISECONDS)) if is_number else expiration


def body_frames(body: bytes, channel_number: int, frame_max: int) -> bytes:
    most = frame_max - FRAME_OVERHEAD_BYTES
    if 0 < len(body) <= most:
        return frame_head.pack(BODY, channel_number, len(body)) + body + END
    chunks = (body[start : start + most] for start in range(0, len(body), most))
    return b"".join(frame(BODY, channel_number, chunk) for chunk in chunks)


def check_size(header: int, body: int, frame_max: int) -> None:
    """Raise Unsendable for a size over which RabbitMQ closes the connection or the channel."""
    if header + FRAME_OVERHEAD_BYTES > frame_max:
        raise Unsendable(f"Its headers exceed the {frame_max} bytes of an AMQP frame.")
    if body > MAX_BODY_BYTES:
        raise Unsendable(f"Its arguments exceed {MAX_BODY_BYTES} bytes as JSON.")


def unencodable(message: Message) -> str:
    """Return why a message cannot be encoded, as a sentence."""
    for name in ("exchange", "routing_key"):
        if len(getattr(message, name).encode(errors="surrogatepass")) > MAX_SHORT_STRING_BYTES:
            return f"Its {name} exceeds 255 bytes, the limit of AMQP."
    if not 0 <= (message.priority or 0) <= MAX_SHORT_STRING_BYTES:
        return "Its priority is not between 0 and 255."
    return unencodable_header(message.headers)


def unencodable_header(headers: Mapping[str, Any]) -> str:
    """Return why headers cannot be encoded, as a sentence."""
    if any(
        len(str(name).encode(errors="surrogatepass")) > MAX_SHORT_STRING_BYTES for name in headers
    ):
        return "The name of a header exceeds 255 bytes, the limit of AMQP."
    return "A header or a property has a value that AMQP has no type for."


class FrameTemplate:
    """Prebuilt frames of a template's messages: rendering writes only the MessageFields."""

    def __init__(self, template: MessageTemplate, *, channel_number: int, frame_max: int) -> None:
        """Encode a message with marks in the place of its fields, and cut the bytes at the marks.

        Raises Unsendable as encode() does.
        """
        # Fields: id, expires, root_id, argsrepr, kwargsrepr, periodic_task_name; id, expiration.
        marks = [f"mark {uuid4()}" for _ in range(5)]
        id_, name, argsrepr, kwargsrepr, expires = marks
        fields = MessageFields(id_, name, b"", argsrepr, kwargsrepr, "", expires, expires)
        message = template.fill(fields)
        encode(message, channel_number=channel_number, frame_max=frame_max)
        rest = encode_properties(message)
        table = 2 + 1 + len(message.content_type.encode()) + 1
        table += len(message.content_encoding.encode())
        self.expires = template.expires
        in_table = [id_, expires, id_, argsrepr, kwargsrepr, name]
        if not self.expires:
            in_table.remove(expires)
        pieces = [rest[:table]]
        size = int.from_bytes(rest[table : table + 4], "big")
        self._table = size - sum(map(len, in_table))
        rest = rest[table + 4 :]
        for mark in in_table:
            piece, rest = _cut(rest, b"S" + long(len(mark)) + mark.encode())
            pieces.append(piece + b"S")
        for mark in [id_, expires] if self.expires else [id_]:
            piece, rest = _cut(rest, bytes([len(mark)]) + mark.encode())
            pieces.append(piece)
        pieces.append(rest)
        if not self.expires:  # empty pieces keep the number of pieces the same
            pieces[2:2] = [b""]
            pieces[-1:-1] = [b""]
        pieces[6] = _cut(pieces[6], NAME_KEY)[0]  # the headers of the row precede it
        self._pieces = tuple(pieces)
        # All but the fields; the lengths before them are fields, too.
        lengths = 4 + 4 * len(in_table) + 1 + self.expires
        self._size = HEADER_START + sum(map(len, pieces)) + len(NAME_KEY) + lengths
        self._publish = encode_publish(message, channel_number)
        self._channel_number = channel_number
        self._frame_max = frame_max

    def render(self, fields: MessageFields) -> bytes:
        """Return all frames of a message; raises Unsendable."""
        id_text, name_text, body, args_text, kwargs_text, row_headers, *expiry = fields
        try:
            id_, name = id_text.encode(), name_text.encode()
            argsrepr, kwargsrepr = args_text.encode(), kwargs_text.encode()
        except UnicodeEncodeError:  # half a surrogate pair: encode it as py-amqp does
            id_, name, argsrepr, kwargsrepr = (
                text.encode(errors="surrogatepass")
                for text in (id_text, name_text, args_text, kwargs_text)
            )
        id_size = len(id_)
        if id_size > MAX_SHORT_STRING_BYTES:
            raise Unsendable("Its id exceeds 255 bytes, the limit of AMQP.")
        headers = encode_headers(row_headers) if row_headers else b""
        fields_size = 2 * id_size + len(argsrepr) + len(kwargsrepr) + len(headers) + len(name)
        expires = expiration = b""
        size = self._size + id_size
        if self.expires:
            expires_text, expiration_text = expiry
            plain = (expires_text or "").encode()
            fields_size += len(plain)
            expires = long(len(plain)) + plain
            plain = within_limit(expiration_text or "").encode()
            size += len(plain)
            expiration = bytes((len(plain),)) + plain
        size += fields_size
        body_size, channel_number, frame_max = len(body), self._channel_number, self._frame_max
        if size + FRAME_OVERHEAD_BYTES > frame_max or body_size > MAX_BODY_BYTES:
            check_size(size, body_size, frame_max)
        p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 = self._pieces
        id_in_table = long(id_size) + id_
        parts = (
            self._publish,
            header_head.pack(HEADER, channel_number, size, BASIC, 0, body_size),
            p0,
            long(self._table + fields_size),
            p1,
            id_in_table,
            p2,
            expires,
            p3,
            id_in_table,
            p4,
            long(len(argsrepr)),
            argsrepr,
            p5,
            long(len(kwargsrepr)),
            kwargsrepr,
            p6,
            headers,
            NAME_KEY,
            long(len(name)),
            name,
            p7,
            bytes((id_size,)),
            id_,
            p8,
            expiration,
            p9,
            END,
        )
        if 0 < body_size <= frame_max - FRAME_OVERHEAD_BYTES:
            return b"".join((*parts, frame_head.pack(BODY, channel_number, body_size), body, END))
        return b"".join((*parts, body_frames(body, channel_number, frame_max)))


def _cut(encoded: bytes, mark: bytes) -> tuple[bytes, bytes]:
    before, found, after = encoded.partition(mark)
    if not found:
        raise AssertionError("Celery no longer writes the headers of a message in this order")
    return before, after
