"""The open connections of a process, and which of them gives way when there are too many."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from project.server.connection import Connection, Phase


class Connections:
    """All connections of this process, within bounds per process and per address.

    Whatever one address does, it takes from its own share: at a bound, the address with the most
    gives up what it has waited for longest. So a new connection is always accepted, and a client
    that sends its request at once is served, though hundreds of others keep silent.
    """

    def __init__(self, *, at_most: int, per_address: int | None, max_bytes: int) -> None:
        self.at_most = at_most
        self.per_address = per_address
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._of: dict[str, dict[Connection, None]] = defaultdict(dict)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Connection]:
        return (each for group in list(self._of.values()) for each in list(group))

    def add(self, connection: Connection) -> None:
        """Count a new connection."""
        self._of[connection.address][connection] = None
        self._count += 1

    def remove(self, connection: Connection) -> None:
        """Forget a closed connection."""
        group = self._of[connection.address]
        del group[connection]
        if not group:
            del self._of[connection.address]
        self._count -= 1
        self.held_bytes -= connection.counted_bytes

    def count_bytes(self, connection: Connection) -> None:
        """Count what a connection holds now."""
        held = connection.held_bytes
        self.held_bytes += held - connection.counted_bytes
        connection.counted_bytes = held

    def one_too_many(self, newest: Connection) -> Connection | None:
        """Return the connection that gives way to a new one; None if there is room."""
        if self.per_address and newest.address:
            own = self._of[newest.address]
            if len(own) > self.per_address:
                return longest_waiting(own)
        return self.longest_waiting() if self._count > self.at_most else None

    def longest_waiting(self) -> Connection | None:
        """Return the connection that gives way: of the address with the most, if it has one."""
        for group in sorted(self._of.values(), key=len, reverse=True):
            if found := longest_waiting(group):
                return found
        return None

    def heaviest(self) -> Connection | None:
        """Return the connection that gives its memory back; None if all are within the bound.

        It is the largest one of the address that holds the most.
        """
        if self.held_bytes <= self.max_bytes:
            return None
        held: dict[str, list[Connection]] = defaultdict(list)
        for each in self:
            if each.phase is not Phase.HANDLING and each.counted_bytes:
                held[each.address].append(each)
        most = max(held.values(), key=lambda group: sum(map(held_by, group)), default=())
        return max(most, key=held_by, default=None)


def held_by(connection: Connection) -> int:
    """Return the bytes that a connection was last seen to hold."""
    return connection.counted_bytes


def longest_waiting(group: Iterable[Connection]) -> Connection | None:
    """Return the connection of an address that gives way; None if threads handle all of them.

    First one that is refused already, then the oldest one that waits for a request, then the
    oldest that waits for its answer to be taken.
    """
    waiting = [each for each in group if each.phase is not Phase.HANDLING]
    return min(waiting, key=_order, default=None)


def _order(connection: Connection) -> tuple[int, float]:
    order = (Phase.CLOSING, Phase.REQUEST, Phase.ANSWER)
    return order.index(connection.phase), connection.since
