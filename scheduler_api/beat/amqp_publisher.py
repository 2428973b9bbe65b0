"""RabbitMQ: many messages written at once, each confirmed by its delivery tag.

py-amqp makes the connection, and keeps what concerns the whole of it. Its channels are not used:
they wait for each confirmation, open themselves again after an error without confirm mode, and
read each frame in three calls, at each of which another thread may take the interpreter.
"""

import logging
import select
import ssl
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from amqp.exceptions import AMQPError
from amqp.serialization import decode_properties_basic
from celery import Celery
from kombu.exceptions import OperationalError

from .batches import Batch, LinkLost
from .capture import Message, Unsendable, announce, capture, reason_of
from .frames import END, HEADER, HEARTBEAT, METHOD, Mould, encode, frame, frame_head, method
from .lanes import CLOSE_OK, Lane, read_close, read_return
from .outgoing import Fate, Outgoing
from .templates import Templates

# Seconds.
CONNECT_TIMEOUT = 5
HEARTBEAT_INTERVAL = 10
PATIENCE = 10  # with a batch of which the broker says nothing

WINDOW = 5000  # unanswered messages
MAX_UNWRITTEN = 1 << 19  # bytes
MAX_READ = 1 << 18  # bytes
MAX_LANES = 64  # beyond it, those that nothing is on are closed
MAX_CHANNEL = 2047

ACK, NACK = b"\x00\x3c\x00\x50", b"\x00\x3c\x00\x78"
RETURN = b"\x00\x3c\x00\x32"
CHANNEL_CLOSE, CHANNEL_CLOSE_OK = b"\x00\x14\x00\x28", b"\x00\x14\x00\x29"
BLOCKED, UNBLOCKED = b"\x00\x0a\x00\x3c", b"\x00\x0a\x00\x3d"
CONNECTION_CLOSE = (10, 50)

logger = logging.getLogger(__name__)


class NoChannel(Exception):
    """As many channels are open as RabbitMQ lets one connection have."""


class AmqpLink:
    """The connection, and its channels."""

    broker = "RabbitMQ"

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._templates = Templates(app)
        self._undeclarable: set[str] = set()
        self._suspects: set[str] = set()
        self._reset()

    def _reset(self) -> None:
        self.blocked = ""
        self._raw: Any = None
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._channels: dict[int, Lane] = {}
        self._closing: set[int] = set()
        self._declared: set[str] = set()
        self._batches: set[Batch] = set()
        self._heard: dict[tuple[int, str], Message] = {}
        self._queued: list[bytes] = []
        self._writing = memoryview(b"")
        self._unread = b""

    def connect(self) -> None:
        self._reset()
        connection = self._app.connection_for_write(
            connect_timeout=CONNECT_TIMEOUT,
            heartbeat=HEARTBEAT_INTERVAL,
            transport_options={"read_timeout": PATIENCE, "write_timeout": PATIENCE},
        )
        try:
            # Each of the hosts of a failover URL once.
            connection.ensure_connection(
                max_retries=max(1, len(connection.alt) - 1), interval_start=0, interval_step=0
            )
        except (OperationalError, AMQPError, OSError) as error:
            raise LinkLost(" ".join(str(error).split())) from error
        self._raw = connection.connection
        self._sock = self._raw.transport.sock
        self._sock.settimeout(0)
        self._unread = bytes(self._raw.transport._read_buffer)
        self._poll = select.poll()
        self._read_at = self._written_at = self._answered_at = time.monotonic()

    # --- Publishing ---------------------------------------------------------------------------

    def room(self) -> int:
        if self.blocked or len(self._writing) > MAX_UNWRITTEN:
            return 0
        return WINDOW - sum(len(lane.pending) for lane in self._lanes.values())

    def publish(self, batch: Batch, runs: Sequence[Outgoing]) -> None:
        """Write runs; those that cannot be written are refused."""
        self._batches.add(batch)
        batch.touched_at = time.monotonic()
        heard = self._templates.is_heard()
        template = None  # of the run before
        lane: Any = None
        mould: Any = None
        queued = self._queued
        for run in runs:
            try:
                found = None if heard or run.id in self._suspects else self._templates.of(run)
                if found is None:
                    self._publish_captured(batch, run, heard=heard)
                    template = None
                    continue
                if found[0] is not template:
                    template = found[0]
                    lane = self._lane(template.message.exchange)
                    mould = lane.moulds.get(template) or self._mould(lane, template)
                queued.append(mould.cast(found[1]))
                lane.tag += 1
                lane.pending[lane.tag] = batch, run.id
            except LinkLost:
                raise
            except NoChannel:
                template = None
                batch.fail(run.id, Fate.UNANSWERED, "RabbitMQ has no channel left for it.")
            except Unsendable as error:
                template = None
                batch.fail(run.id, Fate.REFUSED, str(error))
            except Exception as error:  # noqa: BLE001 - of one run, and of no other
                template = None
                batch.fail(run.id, Fate.REFUSED, reason_of(error))
        self._write()

    def _publish_captured(self, batch: Batch, run: Outgoing, *, heard: bool) -> None:
        message = capture(self._app, run)
        self._declare(message.declare)
        lane = self._lane(message.exchange, run.id if run.id in self._suspects else "")
        frames = encode(message, channel=lane.channel, frame_max=self._raw.frame_max)
        self._queued.append(frames)
        lane.add(batch, run.id)
        if heard:
            self._heard[batch.id, run.id] = message

    def _mould(self, lane: Lane, template: Any) -> Mould:
        self._declare(template.message.declare)
        mould = Mould(template, channel=lane.channel, frame_max=self._raw.frame_max)
        lane.moulds[template] = mould
        return mould

    def _lane(self, exchange: str, suspect: str = "") -> Lane:
        """Return the channel for an exchange, opened where it is not; or that of one suspect."""
        key = exchange, suspect
        lane = self._lanes.get(key)
        if lane is None:
            if len(self._lanes) >= MAX_LANES:
                self._close_idle_lanes()
            taken = self._channels.keys() | self._closing
            most = min(self._raw.channel_max, MAX_CHANNEL)
            channel = next((n for n in range(1, most + 1) if n not in taken), None)
            if channel is None:
                raise NoChannel
            lane = self._lanes[key] = self._channels[channel] = Lane(key, channel)
            self._queued.append(lane.opening())
        return lane

    def _close_idle_lanes(self) -> None:
        for lane in [lane for lane in self._lanes.values() if not lane.pending]:
            self._close_lane(lane)

    def _close_lane(self, lane: Lane) -> None:
        self._closing.add(lane.channel)
        self._queued.append(lane.closing())
        self._forget(lane)

    def _forget(self, lane: Lane) -> None:
        del self._lanes[lane.key]
        del self._channels[lane.channel]

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
            with self._app.connection_for_write(
                connect_timeout=CONNECT_TIMEOUT,
                transport_options={
                    "read_timeout": CONNECT_TIMEOUT,
                    "write_timeout": CONNECT_TIMEOUT,
                },
            ) as connection:
                for entity in new:
                    self._declare_one(entity, connection)
        except (OperationalError, AMQPError, OSError) as error:
            raise LinkLost(" ".join(str(error).split())) from error

    def _declare_one(self, entity: Any, connection: Any) -> None:
        channel = connection.channel()
        try:
            entity(channel).declare()
            self._undeclarable.discard(entity.name)
        except connection.channel_errors as error:
            if entity.name not in self._undeclarable:
                self._undeclarable.add(entity.name)
                logger.warning(
                    "The queue %s cannot be declared, and is used as it is: %s", entity.name, error
                )
        with suppress(*connection.channel_errors):
            channel.close()

    # --- Writing and reading ------------------------------------------------------------------

    def turn(self, wake: int, *, within: float) -> None:
        try:
            self._write()
            self._wait(wake, within)
            self._write()
            self._read()
        except (AMQPError, OSError) as error:
            raise LinkLost(" ".join(str(error).split()) or type(error).__name__) from error
        self._look_after(time.monotonic())

    def _wait(self, wake: int, within: float) -> None:
        if getattr(self._sock, "pending", int)():  # read from TLS, and not from it
            return
        mask = select.POLLIN | (select.POLLOUT if self._writing else 0)
        self._poll.register(self._sock, mask)
        self._poll.register(wake, select.POLLIN)
        self._poll.poll(within * 1000)

    def _write(self) -> None:
        """Write as much as the socket takes now."""
        while self._writing or self._queued:
            if not self._writing:
                self._writing = memoryview(b"".join(self._queued))
                self._queued.clear()
            try:
                sent = self._sock.send(self._writing)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                raise LinkLost(str(error)) from error
            self._writing = self._writing[sent:]
            self._written_at = time.monotonic()

    def _read(self) -> None:
        try:
            data = self._sock.recv(MAX_READ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        if not data:
            raise LinkLost("It has closed the connection.")
        self._read_at = time.monotonic()
        data = self._unread + data if self._unread else data
        at, end = 0, len(data)
        while end - at >= frame_head.size:
            kind, channel, size = frame_head.unpack_from(data, at)
            after = at + frame_head.size + size + len(END)
            if after > end:
                break
            self._take(kind, channel, data[at + frame_head.size : after - len(END)])
            at = after
        self._unread = data[at:]

    def _take(self, kind: int, channel: int, payload: bytes) -> None:
        """Take a frame."""
        signature = payload[:4] if kind == METHOD else b""
        lane = self._channels.get(channel)
        if channel == 0:
            self._take_from_connection(kind, signature, payload)
        elif lane is None:
            if signature == CHANNEL_CLOSE_OK:
                self._closing.discard(channel)
        elif signature == ACK:
            self._confirm(lane.acked(payload))
            if lane.suspect and not lane.pending:
                self._suspects.discard(lane.suspect)
                self._close_lane(lane)
        elif signature == NACK:
            self._answered_at = time.monotonic()
            for batch, run_id in lane.answered(payload):
                batch.fail(run_id, Fate.UNANSWERED, "RabbitMQ could not take it: basic.nack.")
        elif signature == RETURN:
            lane.returning = read_return(payload)
        elif kind == HEADER and lane.returning:
            properties, _ = decode_properties_basic(payload, 12)
            lane.returned[properties.get("correlation_id", "")] = lane.returning
            lane.returning = ""
        elif signature == CHANNEL_CLOSE:
            self._suspects.update(lane.lost(*read_close(payload)))
            self._suspects.discard(lane.suspect)
            self._queued.append(method(channel, CLOSE_OK))
            self._forget(lane)

    def _take_from_connection(self, kind: int, signature: bytes, payload: bytes) -> None:
        if signature == BLOCKED:
            self.blocked = payload[5:].decode(errors="replace") or "no reason given"
        elif signature == UNBLOCKED:
            self.blocked = ""
            self._start_patience(time.monotonic())
        else:
            self._raw.on_inbound_frame((kind, 0, payload))

    def _confirm(self, entries: list[tuple[Batch, str]]) -> None:
        now = self._answered_at = time.monotonic()
        for batch, run_id in entries:
            batch.confirm(run_id)
            batch.touched_at = now
        if self._heard:
            for batch, run_id in entries:
                if message := self._heard.pop((batch.id, run_id), None):
                    announce(self._app, message)

    # --- Time ---------------------------------------------------------------------------------

    def _start_patience(self, now: float) -> None:
        self._answered_at = now
        for batch in self._batches:
            batch.touched_at = now

    def _look_after(self, now: float) -> None:
        """Keep the connection alive, and give up what is not."""
        interval = self._raw.heartbeat
        if interval and now - self._read_at > 2 * interval:
            raise LinkLost(f"Nothing came from it for {2 * interval:g} seconds.")
        if interval and now - self._written_at > interval / 2 and not self._writing:
            self._queued.append(frame(HEARTBEAT, 0, b""))
        self._batches = {batch for batch in self._batches if not batch.is_done}
        if self.blocked:
            # It reads nothing, and says that it lives.
            return
        for batch in self._batches:
            if now - batch.touched_at > PATIENCE:
                if now - self._answered_at > PATIENCE:
                    raise LinkLost(f"It answered no message for {PATIENCE} seconds.")
                # Others it did answer: a queue that takes nothing must not stop them.
                batch.give_up(f"RabbitMQ did not answer for {PATIENCE} seconds.")
                for lane in self._lanes.values():
                    lane.forget(batch)

    def close(self, *, within: float) -> None:
        if self._raw is None:
            return
        end = time.monotonic() + within
        with suppress(LinkLost):
            self._queued.append(method(0, CONNECTION_CLOSE, "BsBB", 200, "", 0, 0))
            while self._raw.connected and time.monotonic() < end:
                self._write()
                self._poll.register(self._sock, select.POLLIN)
                self._poll.poll(100)
                with suppress(AMQPError, OSError, AttributeError):
                    self._read()
        with suppress(Exception):
            self._raw.collect()
        self._reset()
