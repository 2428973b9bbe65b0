"""A channel of an AMQP connection, with the messages that RabbitMQ has not answered.

Each exchange has a channel of its own. RabbitMQ closes a channel over a single message whose
exchange is missing or may not be written to, and every unanswered message on it is lost.
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
    """A channel in confirm mode, with its unanswered messages by delivery tag."""

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
        """`key` is an exchange and the id of the only run published here; "" for all runs."""
        self.key = key
        self.suspect = key[1]
        self.channel_number = channel_number
        self.tag = 0  # delivery tag of the last message
        self.pending: dict[int, tuple[Batch, str]] = {}
        self.returned: dict[str, str] = {}  # by run id: why RabbitMQ returned the message
        # The reason of a basic.return; its content header, which has the run id, comes next.
        self.returning = ""
        self.frame_templates: dict[MessageTemplate, FrameTemplate] = {}

    def opening(self) -> bytes:
        """Return the frames that open the channel; they need no wait for the answers."""
        return method(self.channel_number, OPEN, "s", "") + method(
            self.channel_number, CONFIRM_SELECT, "b", False
        )

    def closing(self) -> bytes:
        return method(self.channel_number, CLOSE, "BsBB", 0, "", 0, 0)

    def add(self, batch: Batch, run_id: str) -> None:
        """Record the next message of the channel as unanswered."""
        self.tag += 1
        self.pending[self.tag] = batch, run_id

    def answered(self, payload: bytes) -> list[tuple[Batch, str]]:
        """Return the runs that a basic.ack or basic.nack answers."""
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
        """Handle a basic.ack; return the confirmed runs, without the runs returned before."""
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
        """Ignore later answers to the messages of a batch."""
        self.pending = {tag: entry for tag, entry in self.pending.items() if entry[0] is not batch}

    def lost(self, code: int, text: str) -> list[str]:
        """Handle the end of the channel; return the suspects, one of which may have caused it."""
        entries, self.pending = list(self.pending.values()), {}
        reason = f"RabbitMQ does not accept it: {text}"
        for batch, run_id in entries:
            if code in {NOT_FOUND, ACCESS_REFUSED}:  # the exchange is at fault
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
    """Return the code and the text of a channel.close."""
    return int.from_bytes(payload[4:6], "big"), payload[7 : 7 + payload[6]].decode(
        errors="replace"
    )


def read_return(payload: bytes) -> str:
    """Return the reason of a basic.return, as a sentence."""
    at, fields = 6, []
    for _ in range(3):
        end = at + 1 + payload[at]
        fields.append(payload[at + 1 : end].decode(errors="replace"))
        at = end
    text, exchange, routing_key = fields
    if not exchange:
        return f"There is no queue {routing_key!r}: {text}."
    return f"The exchange {exchange!r} routes {routing_key!r} to no queue: {text}."
