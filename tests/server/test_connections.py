"""Which connection gives way when a process has too many."""

import socket

import pytest

from project.server.connection import Connection, Phase, client_network
from project.server.connections import Connections
from project.server.reading import Received


class Reader:
    """A reader that holds a number of bytes."""

    def __init__(self, size: int = 0) -> None:
        self.buffer = bytes(size)


@pytest.fixture
def connect():
    """Make connections; the first is the oldest."""
    made = []

    def connect(address: str, phase: Phase = Phase.REQUEST, size: int = 0) -> Connection:
        sock = socket.socket()
        now = float(len(made))
        connection = Connection(sock, (address, 1), ("127.0.0.1", 2), Reader(size), now=now)
        connection.enter(phase, now=now, seconds=1)
        made.append(connection)
        return connection

    yield connect
    for connection in made:
        connection.close()


def table(*members: Connection, **bounds: int) -> Connections:
    found = Connections(**{"at_most": 100, "per_address": 100, "max_bytes": 10**6, **bounds})
    for each in members:
        found.add(each)
        found.count_bytes(each)
    return found


def test_nobody_gives_way_within_the_bounds(connect):
    newest = connect("192.0.2.1")

    assert table(newest, at_most=1, per_address=1).one_too_many(newest) is None


def test_oldest_connection_of_the_same_address_gives_way(connect):
    connect("192.0.2.2")
    first, second = connect("192.0.2.1"), connect("192.0.2.1")

    assert table(first, second, per_address=1).one_too_many(second) is first


def test_connection_that_a_thread_handles_stays(connect):
    first, second = connect("192.0.2.1", Phase.HANDLING), connect("192.0.2.1")

    assert table(first, second, per_address=1).one_too_many(second) is second


@pytest.mark.parametrize(
    ("phases", "index"),
    [
        ((Phase.ANSWER, Phase.REQUEST, Phase.CLOSING), 2),
        ((Phase.ANSWER, Phase.REQUEST, Phase.HANDLING), 1),
        ((Phase.HANDLING, Phase.ANSWER), 1),
    ],
)
def test_refused_connections_give_way_first_and_slow_readers_last(connect, phases, index):
    members = [connect("192.0.2.1", phase) for phase in phases]

    assert table(*members).longest_waiting() is members[index]


def test_address_with_the_most_connections_gives_way(connect):
    modest = connect("192.0.2.9")
    greedy = [connect("192.0.2.1") for _ in range(3)]
    newest = connect("192.0.2.8")

    assert table(modest, *greedy, newest, at_most=4).one_too_many(newest) is greedy[0]


def test_connections_over_a_unix_socket_have_no_bound_per_address(connect):
    members = [connect("192.0.2.1") for _ in range(3)]
    for each in members:
        each.address = ""

    assert table(*members, per_address=1).one_too_many(members[-1]) is None


def test_address_that_holds_the_most_memory_gives_its_largest_piece_back(connect):
    fair = connect("192.0.2.9", size=50)
    small, large = connect("192.0.2.1", size=30), connect("192.0.2.1", size=40)
    found = table(fair, small, large, max_bytes=100)

    assert found.heaviest() is large

    found.remove(large)
    assert found.held_bytes == 80
    assert found.heaviest() is None


def test_memory_of_handled_requests_is_counted_and_not_taken_back(connect):
    handled = connect("192.0.2.1", Phase.HANDLING)
    handled.received = Received(request=None, body=bytes(200))
    waiting = connect("192.0.2.9", size=1)

    found = table(handled, waiting, max_bytes=100)

    assert found.held_bytes == 201
    assert found.heaviest() is waiting


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        (("192.0.2.1", 1), "192.0.2.1"),
        (("2001:db8::1:2:3", 1, 0, 0), "2001:db8::/64"),
        (("::ffff:192.0.2.1", 1, 0, 0), "192.0.2.1"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::/64"),
        ("", ""),
    ],
)
def test_bound_per_address_counts_a_network_of_ipv6_as_one(peer, network):
    assert client_network(peer) == network
