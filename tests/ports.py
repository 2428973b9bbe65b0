"""Ports for servers of a test's own."""

import socket
from random import SystemRandom

# Below the ports of outgoing connections: such a connection could take a port between its choice
# and the start of its server.
PORTS = range(15_000, 30_000)


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    while True:
        port = SystemRandom().choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
