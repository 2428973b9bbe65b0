"""RabbitMQ: many messages written at once, each confirmed by its delivery tag.

py-amqp makes the connection, and keeps what concerns the whole of it. Its channels are not used:
they wait for each confirmation, open themselves again after an error without confirm mode, and
read each frame in three calls, at each of which another thread may take the interpreter.
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from amqp.exceptions import AMQPError
from amqp.serialization import decode_properties_basic
from celery import Celery
from kombu.exceptions import OperationalError

from scheduler_api.broker.batches import Batch, BrokerConnectionLost
from scheduler_api.broker.capture import (
    Message,
    Unsendable,
    capture,
    refusal_reason,
    send_publish_signals,
)
from scheduler_api.broker.channels import CLOSE_OK, Channel, read_close, read_return
from scheduler_api.broker.connection import Connection, connection_to
from scheduler_api.broker.frames import HEADER, METHOD, FrameTemplate, encode, method
from scheduler_api.broker.message_templates import MessageTemplates
from scheduler_api.broker.outgoing import Outgoing, PublishFailure
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line

CONFIRM_TIMEOUT_SECONDS = 10  # seconds with a batch of which the broker says nothing

MAX_UNCONFIRMED = 5000  # unanswered messages
MAX_UNWRITTEN_BYTES = 1 << 19  # bytes
MAX_IDLE_CHANNELS = 64  # beyond it, those that nothing is on are closed
MAX_CHANNEL_NUMBER = 2047

ACK, NACK = b"\x00\x3c\x00\x50", b"\x00\x3c\x00\x78"
RETURN = b"\x00\x3c\x00\x32"
CHANNEL_CLOSE, CHANNEL_CLOSE_OK = b"\x00\x14\x00\x28", b"\x00\x14\x00\x29"
BLOCKED, UNBLOCKED = b"\x00\x0a\x00\x3c", b"\x00\x0a\x00\x3d"

logger = EventLogger(__name__)


class NoChannel(Exception):
    """As many channels are open as RabbitMQ lets one connection have."""


class RabbitMQTransport:
    """The connection, and its channels."""

    broker = "RabbitMQ"

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._templates = MessageTemplates(app)
        self._undeclarable: set[str] = set()
        self._suspects: set[str] = set()
        self._reset()

    def _reset(self) -> None:
        self.blocked = ""
        self._connection: Any = None
        self._channels: dict[tuple[str, str], Channel] = {}
        self._channels_by_number: dict[int, Channel] = {}
        self._closing: set[int] = set()
        self._declared: set[str] = set()
        self._batches: set[Batch] = set()
        self._captured: dict[tuple[int, str], Message] = {}

    def connect(self) -> None:
        self._reset()
        self._connection = Connection(self._app)
        self._answered_at = time.monotonic()
        # Those of the settings now: the first message need not wait for it.
        self._declare(self._app.amqp.queues.values())

    # --- Publishing ---------------------------------------------------------------------------

    def capacity(self) -> int:
        if self.blocked or self._connection.unwritten > MAX_UNWRITTEN_BYTES:
            return 0
        return MAX_UNCONFIRMED - sum(len(channel.pending) for channel in self._channels.values())

    def publish(self, batch: Batch, runs: Sequence[Outgoing]) -> None:
        """Write runs; those that cannot be written are refused."""
        self._batches.add(batch)
        batch.last_activity_at = time.monotonic()
        has_listeners = self._templates.has_listeners()
        template = None  # of the run before
        channel: Any = None
        frame_template: Any = None
        put = self._connection.put
        for run in runs:
            try:
                found = (
                    None if has_listeners or run.id in self._suspects else self._templates.of(run)
                )
                if found is None:
                    self._publish_captured(batch, run, has_listeners=has_listeners)
                    template = None
                    continue
                if found[0] is not template:
                    template = found[0]
                    channel = self._channel_for(template.message.exchange)
                    frame_template = channel.frame_templates.get(
                        template
                    ) or self._frame_template_for(channel, template)
                put(frame_template.render(found[1]))
                channel.tag += 1
                channel.pending[channel.tag] = batch, run.id
            except BrokerConnectionLost:
                raise
            except NoChannel:
                template = None
                batch.fail(
                    run.id, PublishFailure.UNANSWERED, "RabbitMQ has no channel left for it."
                )
            except Unsendable as error:
                template = None
                batch.fail(run.id, PublishFailure.REFUSED, str(error))
            except Exception as error:  # noqa: BLE001 - of one run, and of no other
                template = None
                batch.fail(run.id, PublishFailure.REFUSED, refusal_reason(error))
        self._connection.write()

    def _publish_captured(self, batch: Batch, run: Outgoing, *, has_listeners: bool) -> None:
        message = capture(self._app, run)
        self._declare(message.declare)
        channel = self._channel_for(message.exchange, run.id if run.id in self._suspects else "")
        frames = encode(
            message, channel_number=channel.channel_number, frame_max=self._connection.frame_max
        )
        self._connection.put(frames)
        channel.add(batch, run.id)
        if has_listeners:
            self._captured[batch.id, run.id] = message

    def _frame_template_for(self, channel: Channel, template: Any) -> FrameTemplate:
        self._declare(template.message.declare)
        frame_template = FrameTemplate(
            template, channel_number=channel.channel_number, frame_max=self._connection.frame_max
        )
        channel.frame_templates[template] = frame_template
        return frame_template

    def _channel_for(self, exchange: str, suspect: str = "") -> Channel:
        """Return the channel for an exchange, opened where it is not; or that of one suspect."""
        key = exchange, suspect
        channel = self._channels.get(key)
        if channel is None:
            if len(self._channels) >= MAX_IDLE_CHANNELS:
                self._close_idle_channels()
            taken = self._channels_by_number.keys() | self._closing
            most = min(self._connection.channel_max, MAX_CHANNEL_NUMBER)
            channel_number = next((n for n in range(1, most + 1) if n not in taken), None)
            if channel_number is None:
                raise NoChannel
            channel = self._channels[key] = self._channels_by_number[channel_number] = Channel(
                key, channel_number
            )
            self._connection.put(channel.opening())
        return channel

    def _close_idle_channels(self) -> None:
        for channel in [channel for channel in self._channels.values() if not channel.pending]:
            self._close_channel(channel)

    def _close_channel(self, channel: Channel) -> None:
        self._closing.add(channel.channel_number)
        self._connection.put(channel.closing())
        self._forget(channel)

    def _forget(self, channel: Channel) -> None:
        del self._channels[channel.key]
        del self._channels_by_number[channel.channel_number]

    def _declare(self, entities: Iterable[Any]) -> None:
        """Declare queues as Celery would, once per connection; on one of its own.

        RabbitMQ closes the channel when a queue is there with other arguments: nothing else is
        to be on it. A message for such a queue is published all the same.
        """
        new = [entity for entity in entities if entity.name not in self._declared]
        if not new:
            return
        self._declared.update(entity.name for entity in new)
        try:
            with connection_to(self._app) as connection:
                for entity in new:
                    self._declare_one(entity, connection)
        except (OperationalError, AMQPError, OSError) as error:
            raise BrokerConnectionLost(" ".join(str(error).split())) from error

    def _declare_one(self, entity: Any, connection: Any) -> None:
        channel = connection.channel()
        try:
            entity(channel).declare()
            self._undeclarable.discard(entity.name)
        except connection.channel_errors as error:
            if entity.name not in self._undeclarable:
                self._undeclarable.add(entity.name)
                logger.warning(
                    LogEvent.QUEUE_DECLARATION_REFUSED,
                    "RabbitMQ refused to declare the queue %(queue)s, which is used as it is: "
                    "%(error)s",
                    queue=entity.name,
                    error=in_one_line(error),
                )
        with suppress(*connection.channel_errors):
            channel.close()

    # --- Writing and reading ------------------------------------------------------------------

    def poll(self, wake: int, *, timeout_seconds: float) -> None:
        connection = self._connection
        try:
            connection.write()
            connection.wait(wake, timeout_seconds)
            connection.write()
            for kind, channel_number, payload in connection.read():
                self._handle_frame(kind, channel_number, payload)
        except (AMQPError, OSError) as error:
            raise BrokerConnectionLost(
                " ".join(str(error).split()) or type(error).__name__
            ) from error
        self._check_timeouts(time.monotonic())

    def _handle_frame(self, kind: int, channel_number: int, payload: bytes) -> None:
        """Take a frame."""
        signature = payload[:4] if kind == METHOD else b""
        channel = self._channels_by_number.get(channel_number)
        if channel_number == 0:
            self._handle_connection_frame(kind, signature, payload)
        elif channel is None:
            if signature == CHANNEL_CLOSE_OK:
                self._closing.discard(channel_number)
        elif signature == ACK:
            self._confirm(channel.acked(payload))
            if channel.suspect and not channel.pending:
                self._suspects.discard(channel.suspect)
                self._close_channel(channel)
        elif signature == NACK:
            self._answered_at = time.monotonic()
            for batch, run_id in channel.answered(payload):
                batch.fail(
                    run_id, PublishFailure.UNANSWERED, "RabbitMQ could not take it: basic.nack."
                )
        elif signature == RETURN:
            channel.returning = read_return(payload)
        elif kind == HEADER and channel.returning:
            properties, _ = decode_properties_basic(payload, 12)
            channel.returned[properties.get("correlation_id", "")] = channel.returning
            channel.returning = ""
        elif signature == CHANNEL_CLOSE:
            self._suspects.update(channel.lost(*read_close(payload)))
            self._suspects.discard(channel.suspect)
            self._connection.put(method(channel_number, CLOSE_OK))
            self._forget(channel)

    def _handle_connection_frame(self, kind: int, signature: bytes, payload: bytes) -> None:
        if signature == BLOCKED:
            self.blocked = payload[5:].decode(errors="replace") or "no reason given"
        elif signature == UNBLOCKED:
            self.blocked = ""
            self._restart_timeouts(time.monotonic())
        else:
            self._connection.pass_to_py_amqp(kind, payload)

    def _confirm(self, entries: list[tuple[Batch, str]]) -> None:
        now = self._answered_at = time.monotonic()
        for batch, run_id in entries:
            batch.confirm(run_id)
            batch.last_activity_at = now
        if self._captured:
            for batch, run_id in entries:
                if message := self._captured.pop((batch.id, run_id), None):
                    self._send_publish_signals(message)

    def _send_publish_signals(self, message: Message) -> None:
        try:
            send_publish_signals(self._app, message)
        except (OperationalError, OSError) as error:
            logger.warning(
                LogEvent.TASK_SENT_EVENT_FAILED,
                "The event task-sent could not be sent: %(error)s",
                error=in_one_line(error),
            )

    # --- Time ---------------------------------------------------------------------------------

    def _restart_timeouts(self, now: float) -> None:
        self._answered_at = now
        for batch in self._batches:
            batch.last_activity_at = now

    def _check_timeouts(self, now: float) -> None:
        """Keep the connection alive, and give up what is not."""
        self._connection.keep_alive(now)
        self._batches = {batch for batch in self._batches if not batch.is_done}
        if self.blocked:
            # It reads nothing, and says that it lives.
            return
        for batch in self._batches:
            if now - batch.last_activity_at > CONFIRM_TIMEOUT_SECONDS:
                if now - self._answered_at > CONFIRM_TIMEOUT_SECONDS:
                    raise BrokerConnectionLost(
                        f"It answered no message for {CONFIRM_TIMEOUT_SECONDS} seconds."
                    )
                # Others it did answer: a queue that takes nothing must not stop them.
                batch.give_up(f"RabbitMQ did not answer for {CONFIRM_TIMEOUT_SECONDS} seconds.")
                for channel in self._channels.values():
                    channel.forget(batch)

    def close(self, *, timeout_seconds: float) -> None:
        if self._connection is not None:
            self._connection.close(timeout_seconds=timeout_seconds)
        self._reset()
