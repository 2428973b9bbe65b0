"""Channels of an AMQP connection: one for each exchange, so that none hurts another.

RabbitMQ closes a channel over a single message: when its exchange is missing, or may not be
written to. All that was unanswered there is lost with it.
"""

from struct import Struct

from scheduler_api.broker.batches import Batch
from scheduler_api.broker.frames import FrameTemplate, method
from scheduler_api.broker.message_templates import MessageTemplate
from scheduler_api.broker.outgoing import PublishFailure

OPEN, CLOSE, CLOSE_OK = (20, 10), (20, 40), (20, 41)
CONFIRM_SELECT = (85, 10)
NOT_FOUND, ACCESS_REFUSED = 404, 403

tag_of = Struct(">Q").unpack_from


class Channel:
    """A channel in confirm mode, and what is unanswered on it, by delivery tag."""

    __slots__ = (
        "channel_number",
        "frame_templates",
        "key",
        "pending",
        "returned",
        "returning",
        "suspect",
        "tag",
    )

    def __init__(self, key: tuple[str, str], channel_number: int) -> None:
        """`key` is an exchange, and the one run that is published here, or "" for all."""
        self.key = key
        self.suspect = key[1]
        self.channel_number = channel_number
        self.tag = 0  # of the last message
        self.pending: dict[int, tuple[Batch, str]] = {}
        self.returned: dict[str, str] = {}  # by run: why the broker returned it
        self.returning = ""  # why the message is returned whose header is to come
        self.frame_templates: dict[MessageTemplate, FrameTemplate] = {}

    def opening(self) -> bytes:
        """Return what opens the channel; the answers need not be waited for."""
        return method(self.channel_number, OPEN, "s", "") + method(
            self.channel_number, CONFIRM_SELECT, "b", False
        )

    def closing(self) -> bytes:
        return method(self.channel_number, CLOSE, "BsBB", 0, "", 0, 0)

    def add(self, batch: Batch, run_id: str) -> None:
        """Note the next message of the channel."""
        self.tag += 1
        self.pending[self.tag] = batch, run_id

    def answered(self, payload: bytes) -> list[tuple[Batch, str]]:
        """Return the runs that a basic.ack or basic.nack is about."""
        [tag] = tag_of(payload, 4)
        pending = self.pending
        if not payload[12] & 1:
            entry = pending.pop(tag, None)
            return [entry] if entry else []
        tags = []
        for known in pending:
            if known > tag:
                break
            tags.append(known)
        return [pending.pop(known) for known in tags]

    def acked(self, payload: bytes) -> list[tuple[Batch, str]]:
        """Take a basic.ack; return what was confirmed: not what was returned before."""
        entries = self.answered(payload)
        if not self.returned:
            return entries
        confirmed = []
        for batch, run_id in entries:
            if reason := self.returned.pop(run_id, ""):
                batch.fail(run_id, PublishFailure.UNROUTABLE, reason)
            else:
                confirmed.append((batch, run_id))
        return confirmed

    def forget(self, batch: Batch) -> None:
        """Wait no longer for answers about a batch."""
        self.pending = {tag: entry for tag, entry in self.pending.items() if entry[0] is not batch}

    def lost(self, code: int, text: str) -> list[str]:
        """Take the end of the channel; return the runs of which one may have caused it."""
        entries, self.pending = list(self.pending.values()), {}
        reason = f"RabbitMQ does not take it: {text}"
        for batch, run_id in entries:
            if code in {NOT_FOUND, ACCESS_REFUSED}:  # of the exchange
                batch.fail(run_id, PublishFailure.UNROUTABLE, reason)
            elif self.suspect:
                batch.fail(run_id, PublishFailure.REFUSED, reason)
            else:
                batch.fail(
                    run_id, PublishFailure.UNANSWERED, f"RabbitMQ has closed the channel: {text}"
                )
        is_clear = self.suspect or code in {NOT_FOUND, ACCESS_REFUSED}
        return [] if is_clear else [run_id for _, run_id in entries]


def read_close(payload: bytes) -> tuple[int, str]:
    """Return code and text of a channel.close."""
    return int.from_bytes(payload[4:6], "big"), payload[7 : 7 + payload[6]].decode(
        errors="replace"
    )


def read_return(payload: bytes) -> str:
    """Return why a basic.return returns a message, as a sentence."""
    at, words = 6, []
    for _ in range(3):
        end = at + 1 + payload[at]
        words.append(payload[at + 1 : end].decode(errors="replace"))
        at = end
    text, exchange, routing_key = words
    if not exchange:
        return f"There is no queue {routing_key!r}: {text}."
    return f"The exchange {exchange!r} leads {routing_key!r} to no queue: {text}."
