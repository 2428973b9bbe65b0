"""Frames of messages, compared with those of py-amqp's frame_writer."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import amqp
import pytest
from amqp.method_framing import frame_writer
from amqp.serialization import dumps
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_api.broker.capture import Message, Unsendable, capture
from scheduler_api.broker.frames import MAX_BODY_BYTES, FrameTemplate, encode
from scheduler_api.broker.message_templates import MessageTemplates
from scheduler_api.broker.outgoing import Outgoing
from tests.scheduler.examples import make_app, name_of, outgoing

APP = make_app()
CHANNEL_NUMBER, FRAME_MAX = 3, 4096
SOON = {"expires": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}


def encoded_by_py_amqp(message: Message, frame_max: int = FRAME_MAX) -> bytes:
    written: list[bytes] = []
    connection: Any = SimpleNamespace(frame_max=frame_max, bytes_sent=0)
    transport: Any = SimpleNamespace(write=lambda data: written.append(bytes(data)))
    content = amqp.Message(
        message.body,
        priority=message.priority,
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        application_headers=message.headers,
        **message.properties,
    )
    publish = dumps("Bssbb", (0, message.exchange, message.routing_key, True, False))
    frame_writer(connection, transport)(1, CHANNEL_NUMBER, (60, 40), publish, content)
    return b"".join(written)


def encoded(message: Message, frame_max: int = FRAME_MAX) -> bytes:
    return encode(message, channel_number=CHANNEL_NUMBER, frame_max=frame_max)


def render(run: Outgoing, frame_max: int = FRAME_MAX) -> tuple[bytes, Message]:
    """Return the frames of a run, from a template if it has one, and the message."""
    templates = MessageTemplates(APP)
    assert not templates.has_listeners()
    another = {**json.loads(run.options), "headers": {"x-first": "one"}}
    templates.find(replace(run, id="first", args="[0]", options=json.dumps(another)))
    found = templates.find(run)
    if found is None:
        message = capture(APP, run)
        return encoded(message, frame_max), message
    template, fields = found
    frame_template = FrameTemplate(template, channel_number=CHANNEL_NUMBER, frame_max=frame_max)
    return frame_template.render(fields), template.fill(fields)


@pytest.mark.parametrize(
    "run",
    [
        outgoing("any"),
        outgoing("any", "ü ☃ \ud800", periodic_task_name="Näme ☃"),
        outgoing("any", "x" * 900),
        outgoing("any", "x" * FRAME_MAX),
        outgoing("any", "x" * (3 * FRAME_MAX)),
        outgoing("any", options={"priority": 200, "headers": {"x-a": "ü \ud800", "X-b": ""}}),
        outgoing("any", options={"exchange": "mine", "routing_key": "ü"}),
        outgoing("limited", 1, options=SOON),
        outgoing("any", 1, options={**SOON, "headers": {"x-a": "b"}}),
        outgoing("any", options={"headers": {"a": 1, "b": [1.0, None, {"c": [2**40, -1]}]}}),
        outgoing("any", options={"headers": {"a": True, "b": [True, 1.0], "c": {}, "d": []}}),
        outgoing("any", options={"headers": {"a": "x" * 2000}}),
        outgoing("any", 1, id="short"),
        outgoing("any", 1, periodic_task_name=""),
    ],
    ids=name_of,
)
def test_frames_equal_those_of_py_amqp(run):
    frames, message = render(run)

    assert frames == encoded(message)
    assert frames == encoded_by_py_amqp(message)


@settings(max_examples=200)
@given(st.lists(st.text()), st.text(max_size=200), st.integers(1, 6000))
def test_frames_of_any_length_equal_those_of_py_amqp(args, name, size):
    frames, message = render(outgoing("any", *args, "x" * size, periodic_task_name=name))

    assert frames == encoded_by_py_amqp(message)


@pytest.mark.parametrize("size", range(-2, 3))
def test_body_longer_than_a_frame_is_split(size):
    body = b"x" * (FRAME_MAX - 8 + size)
    message = replace(capture(APP, outgoing("any")), body=body)

    assert encoded(message) == encoded_by_py_amqp(message)


def test_empty_body_has_no_frame():
    message = replace(capture(APP, outgoing("any")), body=b"")

    assert encoded(message) == encoded_by_py_amqp(message)


LONG_TEXT = "ü" * 128  # 256 bytes


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"exchange": "mine", "routing_key": LONG_TEXT}, "routing_key exceeds 255 bytes"),
        ({"exchange": LONG_TEXT, "routing_key": "key"}, "exchange exceeds 255 bytes"),
        ({"priority": 256}, "priority is not between 0 and 255"),
        ({"headers": {LONG_TEXT: ""}}, "name of a header exceeds 255 bytes"),
        ({"headers": {"x-a": 2**70}}, "no type for"),
        ({"headers": {"x-a": [{"b": 2**63}]}}, "no type for"),
        ({"headers": {"x-a": "x" * 2000, "b": 2**63}}, "no type for"),
        ({"headers": {"x-a": "x" * FRAME_MAX}}, "headers exceed the 4096 bytes"),
    ],
)
def test_message_that_amqp_cannot_represent_is_refused(options, reason):
    run = outgoing("any", options=options)

    with pytest.raises(Unsendable, match=reason):
        encoded(capture(APP, run))
    with pytest.raises(Unsendable, match=reason):
        render(run)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": LONG_TEXT}, "id exceeds 255 bytes"),
        ({"periodic_task_name": "x" * FRAME_MAX}, "headers exceed the 4096 bytes"),
        ({"args": f'["{"x" * MAX_BODY_BYTES}"]'}, "arguments exceed"),
    ],
)
def test_fields_that_amqp_cannot_represent_are_refused(fields, reason):
    with pytest.raises(Unsendable, match=reason):
        render(outgoing("any", **fields))
