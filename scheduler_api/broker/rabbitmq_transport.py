"""Transport for RabbitMQ: writes many messages at once and matches confirms by delivery tag.

py-amqp opens the connection and handles the frames of channel 0. Its channels are not used: they
wait for each confirm, open themselves again after an error without confirm mode, and read each
frame in three calls, at each of which another thread may take the interpreter.
"""

import time
from collections.abc import Sequence
from typing import Any

from amqp.exceptions import AMQPError
from amqp.serialization import decode_properties_basic
from celery import Celery
from django.conf import settings
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
from scheduler_api.broker.connection import Connection
from scheduler_api.broker.frames import HEADER, METHOD, FrameTemplate, encode, method
from scheduler_api.broker.message_templates import MessageTemplates
from scheduler_api.broker.open_channels import NoChannel, OpenChannels
from scheduler_api.broker.outgoing import Outgoing, PublishFailure
from scheduler_api.broker.queue_declaration import QueueDeclarer
from scheduler_api.broker.queue_mismatches import QueueMismatch
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line

# Longest time without an answer to any message of a batch.
CONFIRM_TIMEOUT_SECONDS = 10

MAX_UNCONFIRMED = 5000  # messages
MAX_UNWRITTEN_BYTES = 1 << 19

ACK, NACK = b"\x00\x3c\x00\x50", b"\x00\x3c\x00\x78"
RETURN = b"\x00\x3c\x00\x32"
CHANNEL_CLOSE, CHANNEL_CLOSE_OK = b"\x00\x14\x00\x28", b"\x00\x14\x00\x29"
BLOCKED, UNBLOCKED = b"\x00\x0a\x00\x3c", b"\x00\x0a\x00\x3d"

logger = EventLogger(__name__)


class RabbitMQTransport:
    """A connection with its channels, and the batches that are published on them."""

    broker = "RabbitMQ"

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._templates = MessageTemplates(app)
        self._queues = QueueDeclarer(app)
        # Ids of runs, one of which may have made RabbitMQ close a channel. RabbitMQ does not say
        # which: each is published again on a channel of its own.
        self._suspects: set[str] = set()
        self._reset()

    def _reset(self) -> None:
        self.blocked = ""
        self._connection: Any = None
        self._channels: Any = None
        self._queues.reset()
        self._batches: set[Batch] = set()
        # Messages whose listeners are called when they are confirmed.
        self._captured: dict[tuple[int, str], Message] = {}

    def connect(self) -> None:
        self._reset()
        self._connection = Connection(self._app)
        self._channels = OpenChannels(self._connection)
        self._answered_at = time.monotonic()
        # The queues of the settings now: the first message need not wait for them.
        self._queues.declare(self._app.amqp.queues.values())

    @property
    def queue_mismatches(self) -> Sequence[QueueMismatch]:
        return self._queues.mismatches

    # --- Publishing ---------------------------------------------------------------------------

    def capacity(self) -> int:
        if self.blocked or self._connection.unwritten > MAX_UNWRITTEN_BYTES:
            return 0
        return MAX_UNCONFIRMED - int(self._channels.unanswered)

    def publish(self, batch: Batch, runs: Sequence[Outgoing]) -> None:
        """Write the messages of runs; a run without a possible message is refused."""
        self._batches.add(batch)
        batch.last_activity_at = time.monotonic()
        has_listeners = self._templates.has_listeners()
        uses_templates = settings.FAST_PATHS and not has_listeners
        template = None  # of the previous run
        channel: Any = None
        frame_template: Any = None
        put = self._connection.put
        for run in runs:
            try:
                found = None
                if uses_templates and run.id not in self._suspects:
                    found = self._templates.find(run)
                if found is None:
                    self._publish_captured(batch, run, has_listeners=has_listeners)
                    template = None
                    continue
                if found[0] is not template:
                    template = found[0]
                    channel = self._channels.get_or_open(template.message.exchange)
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
                    run.id, PublishFailure.UNANSWERED, "RabbitMQ has no free channel for it."
                )
            except Unsendable as error:
                template = None
                batch.fail(run.id, PublishFailure.REFUSED, str(error))
            except Exception as error:  # noqa: BLE001 - one run's error must not fail others
                template = None
                batch.fail(run.id, PublishFailure.REFUSED, refusal_reason(error))
        self._connection.write()

    def _publish_captured(self, batch: Batch, run: Outgoing, *, has_listeners: bool) -> None:
        """Write a message that Celery has made for this run alone."""
        message = capture(self._app, run)
        self._queues.declare(message.declare)
        suspect = run.id if run.id in self._suspects else ""
        channel = self._channels.get_or_open(message.exchange, suspect)
        frames = encode(
            message, channel_number=channel.channel_number, frame_max=self._connection.frame_max
        )
        self._connection.put(frames)
        channel.add(batch, run.id)
        if has_listeners:
            self._captured[batch.id, run.id] = message

    def _frame_template_for(self, channel: Channel, template: Any) -> FrameTemplate:
        self._queues.declare(template.message.declare)
        frame_template = FrameTemplate(
            template, channel_number=channel.channel_number, frame_max=self._connection.frame_max
        )
        channel.frame_templates[template] = frame_template
        return frame_template

    # --- Writing and reading ------------------------------------------------------------------

    def poll(self, wake_fd: int, *, timeout_seconds: float) -> None:
        connection = self._connection
        try:
            connection.write()
            connection.wait(wake_fd, timeout_seconds)
            connection.write()
            for kind, channel_number, payload in connection.read():
                self._handle_frame(kind, channel_number, payload)
        except (AMQPError, OSError) as error:
            raise BrokerConnectionLost(in_one_line(error)) from error
        self._check_timeouts(time.monotonic())
        self._queues.recheck()

    def _handle_frame(self, kind: int, channel_number: int, payload: bytes) -> None:
        signature = payload[:4] if kind == METHOD else b""
        channel = self._channels.find(channel_number)
        if channel_number == 0:
            self._handle_connection_frame(kind, signature, payload)
        elif channel is None:
            if signature == CHANNEL_CLOSE_OK:
                self._channels.confirm_close(channel_number)
        elif signature == ACK:
            self._confirm(channel.acked(payload))
            if channel.suspect and not channel.pending:
                self._suspects.discard(channel.suspect)
                self._channels.close(channel)
        elif signature == NACK:
            self._answered_at = time.monotonic()
            for batch, run_id in channel.answered(payload):
                batch.fail(
                    run_id, PublishFailure.UNANSWERED, "RabbitMQ could not store it: basic.nack."
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
            self._channels.remove(channel)

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

    # --- Timeouts -----------------------------------------------------------------------------

    def _restart_timeouts(self, now: float) -> None:
        self._answered_at = now
        for batch in self._batches:
            batch.last_activity_at = now

    def _check_timeouts(self, now: float) -> None:
        """Keep the connection alive; give up batches without an answer for too long."""
        self._connection.keep_alive(now)
        self._batches = {batch for batch in self._batches if not batch.is_done}
        if self.blocked:
            # A blocked broker reads nothing, though its heartbeats show that it is alive.
            return
        for batch in self._batches:
            if now - batch.last_activity_at > CONFIRM_TIMEOUT_SECONDS:
                if now - self._answered_at > CONFIRM_TIMEOUT_SECONDS:
                    raise BrokerConnectionLost(
                        f"It answered no message for {CONFIRM_TIMEOUT_SECONDS} seconds."
                    )
                # It answered other batches: a queue that accepts nothing must not stop them.
                batch.give_up(f"RabbitMQ did not answer for {CONFIRM_TIMEOUT_SECONDS} seconds.")
                self._channels.forget(batch)

    def close(self, *, timeout_seconds: float) -> None:
        if self._connection is not None:
            self._connection.close(timeout_seconds=timeout_seconds)
        self._reset()
