"""The open channels of a RabbitMQ connection, by exchange and by number."""

from scheduler_api.broker.batches import Batch
from scheduler_api.broker.channels import Channel
from scheduler_api.broker.connection import Connection

# When this many channels are open, those without unanswered messages are closed.
IDLE_CLOSE_THRESHOLD = 64
MAX_CHANNEL_NUMBER = 2047


class NoChannel(Exception):
    """The connection has as many open channels as RabbitMQ allows."""


class OpenChannels:
    """Opens, finds and closes the channels of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._by_key: dict[tuple[str, str], Channel] = {}
        self._by_number: dict[int, Channel] = {}
        self._closing: set[int] = set()

    @property
    def unanswered(self) -> int:
        """The number of messages that RabbitMQ has not answered."""
        return sum(len(channel.pending) for channel in self._by_key.values())

    def find(self, channel_number: int) -> Channel | None:
        """Return an open channel by its number."""
        return self._by_number.get(channel_number)

    def get_or_open(self, exchange: str, suspect: str = "") -> Channel:
        """Return the channel of an exchange, or that of one suspect run; opens it if needed.

        Raises NoChannel.
        """
        key = exchange, suspect
        channel = self._by_key.get(key)
        if channel is None:
            if len(self._by_key) >= IDLE_CLOSE_THRESHOLD:
                self._close_idle()
            channel = self._by_key[key] = Channel(key, self._free_number())
            self._by_number[channel.channel_number] = channel
            self._connection.put(channel.opening())
        return channel

    def _free_number(self) -> int:
        taken = self._by_number.keys() | self._closing
        most = min(self._connection.channel_max, MAX_CHANNEL_NUMBER)
        number = next((number for number in range(1, most + 1) if number not in taken), None)
        if number is None:
            raise NoChannel
        return number

    def _close_idle(self) -> None:
        for channel in [channel for channel in self._by_key.values() if not channel.pending]:
            self.close(channel)

    def close(self, channel: Channel) -> None:
        """Close a channel; its number stays taken until RabbitMQ confirms that."""
        self._closing.add(channel.channel_number)
        self._connection.put(channel.closing())
        self.remove(channel)

    def confirm_close(self, channel_number: int) -> None:
        """Handle a channel.close-ok: the number may be used again."""
        self._closing.discard(channel_number)

    def remove(self, channel: Channel) -> None:
        """Remove a channel that RabbitMQ has closed."""
        del self._by_key[channel.key]
        del self._by_number[channel.channel_number]

    def forget(self, batch: Batch) -> None:
        """Ignore later answers to the messages of a batch."""
        for channel in self._by_key.values():
            channel.forget(batch)
