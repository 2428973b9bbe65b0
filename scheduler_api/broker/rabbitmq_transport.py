"""RabbitMQ: many messages written at once, each confirmed by its delivery tag.

py-amqp makes the connection, and keeps what concerns the whole of it. Its channels are not used:
they wait for each confirmation, open themselves again after an error without confirm mode, and
read each frame in three calls, at each of which another thread may take the interpreter.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from amqp.exceptions import AMQPError
from amqp.serialization import decode_properties_basic
from celery import Celery
from kombu.exceptions import OperationalError

from scheduler_api.broker.batches import Batch, LinkLost
from scheduler_api.broker.capture import Message, Unsendable, announce, capture, reason_of
from scheduler_api.broker.channels import CLOSE_OK, Lane, read_close, read_return
from scheduler_api.broker.connection import Wire, connection_to
from scheduler_api.broker.frames import HEADER, METHOD, Mould, encode, method
from scheduler_api.broker.message_templates import Templates
from scheduler_api.broker.outgoing import Fate, Outgoing

PATIENCE = 10  # seconds with a batch of which the broker says nothing

WINDOW = 5000  # unanswered messages
MAX_UNWRITTEN = 1 << 19  # bytes
MAX_LANES = 64  # beyond it, those that nothing is on are closed
MAX_CHANNEL = 2047

ACK, NACK = b"\x00\x3c\x00\x50", b"\x00\x3c\x00\x78"
RETURN = b"\x00\x3c\x00\x32"
CHANNEL_CLOSE, CHANNEL_CLOSE_OK = b"\x00\x14\x00\x28", b"\x00\x14\x00\x29"
BLOCKED, UNBLOCKED = b"\x00\x0a\x00\x3c", b"\x00\x0a\x00\x3d"

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
        self._wire: Any = None
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._channels: dict[int, Lane] = {}
        self._closing: set[int] = set()
        self._declared: set[str] = set()
        self._batches: set[Batch] = set()
        self._heard: dict[tuple[int, str], Message] = {}

    def connect(self) -> None:
        self._reset()
        self._wire = Wire(self._app)
        self._answered_at = time.monotonic()
        # Those of the settings now: the first message need not wait for it.
        self._declare(self._app.amqp.queues.values())

    # --- Publishing ---------------------------------------------------------------------------

    def room(self) -> int:
        if self.blocked or self._wire.unwritten > MAX_UNWRITTEN:
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
        put = self._wire.put
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
                put(mould.cast(found[1]))
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
        self._wire.write()

    def _publish_captured(self, batch: Batch, run: Outgoing, *, heard: bool) -> None:
        message = capture(self._app, run)
        self._declare(message.declare)
        lane = self._lane(message.exchange, run.id if run.id in self._suspects else "")
        frames = encode(message, channel=lane.channel, frame_max=self._wire.frame_max)
        self._wire.put(frames)
        lane.add(batch, run.id)
        if heard:
            self._heard[batch.id, run.id] = message

    def _mould(self, lane: Lane, template: Any) -> Mould:
        self._declare(template.message.declare)
        mould = Mould(template, channel=lane.channel, frame_max=self._wire.frame_max)
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
            most = min(self._wire.channel_max, MAX_CHANNEL)
            channel = next((n for n in range(1, most + 1) if n not in taken), None)
            if channel is None:
                raise NoChannel
            lane = self._lanes[key] = self._channels[channel] = Lane(key, channel)
            self._wire.put(lane.opening())
        return lane

    def _close_idle_lanes(self) -> None:
        for lane in [lane for lane in self._lanes.values() if not lane.pending]:
            self._close_lane(lane)

    def _close_lane(self, lane: Lane) -> None:
        self._closing.add(lane.channel)
        self._wire.put(lane.closing())
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
            with connection_to(self._app) as connection:
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
        wire = self._wire
        try:
            wire.write()
            wire.wait(wake, within)
            wire.write()
            for kind, channel, payload in wire.read():
                self._take(kind, channel, payload)
        except (AMQPError, OSError) as error:
            raise LinkLost(" ".join(str(error).split()) or type(error).__name__) from error
        self._look_after(time.monotonic())

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
            self._wire.put(method(channel, CLOSE_OK))
            self._forget(lane)

    def _take_from_connection(self, kind: int, signature: bytes, payload: bytes) -> None:
        if signature == BLOCKED:
            self.blocked = payload[5:].decode(errors="replace") or "no reason given"
        elif signature == UNBLOCKED:
            self.blocked = ""
            self._start_patience(time.monotonic())
        else:
            self._wire.leave_to_py_amqp(kind, payload)

    def _confirm(self, entries: list[tuple[Batch, str]]) -> None:
        now = self._answered_at = time.monotonic()
        for batch, run_id in entries:
            batch.confirm(run_id)
            batch.touched_at = now
        if self._heard:
            for batch, run_id in entries:
                if message := self._heard.pop((batch.id, run_id), None):
                    self._announce(message)

    def _announce(self, message: Message) -> None:
        try:
            announce(self._app, message)
        except (OperationalError, OSError) as error:
            logger.warning("The event task-sent cannot be sent: %s", error)

    # --- Time ---------------------------------------------------------------------------------

    def _start_patience(self, now: float) -> None:
        self._answered_at = now
        for batch in self._batches:
            batch.touched_at = now

    def _look_after(self, now: float) -> None:
        """Keep the connection alive, and give up what is not."""
        self._wire.keep_alive(now)
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
        if self._wire is not None:
            self._wire.close(within=within)
        self._reset()
