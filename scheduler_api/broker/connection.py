"""The socket of a RabbitMQ connection: writes and reads frames without blocking."""

import select
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from amqp.exceptions import AMQPError
from celery import Celery
from kombu.exceptions import OperationalError

from scheduler_api.broker.batches import BrokerConnectionLost
from scheduler_api.broker.frames import END, HEARTBEAT, frame, frame_head, method

CONNECT_TIMEOUT_SECONDS = 5
HANDSHAKE_TIMEOUT_SECONDS = 10
HEARTBEAT_INTERVAL_SECONDS = 10
CLOSE_POLL_SECONDS = 0.1

MAX_READ_BYTES = 1 << 18  # bytes
CONNECTION_CLOSE = (10, 50)


def connection_to(app: Celery, **options: Any) -> Any:
    """Return an open kombu connection to the first host of the URL that answers."""
    connection = app.connection_for_write(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        transport_options={
            "read_timeout": HANDSHAKE_TIMEOUT_SECONDS,
            "write_timeout": HANDSHAKE_TIMEOUT_SECONDS,
        },
        **options,
    )
    try:
        connection.ensure_connection(
            max_retries=max(1, len(connection.alt) - 1), interval_start=0, interval_step=0
        )
    except (OperationalError, AMQPError, OSError) as error:
        raise BrokerConnectionLost(" ".join(str(error).split())) from error
    return connection


class Connection:
    """An open connection that py-amqp has made, and that only this class reads and writes."""

    def __init__(self, app: Celery) -> None:
        """Connect; raises BrokerConnectionLost."""
        self._raw = connection_to(app, heartbeat=HEARTBEAT_INTERVAL_SECONDS).connection
        self._sock = self._raw.transport.sock
        self._sock.settimeout(0)
        self._poll = select.poll()
        self._queued: list[bytes] = []
        self._writing = memoryview(b"")
        self._unread = bytes(self._raw.transport._read_buffer)
        self._read_at = self._written_at = time.monotonic()
        self.frame_max: int = self._raw.frame_max
        self.channel_max: int = self._raw.channel_max

    @property
    def unwritten(self) -> int:
        """Return the number of bytes that the socket has not accepted yet."""
        return len(self._writing)

    def put(self, frames: bytes) -> None:
        """Queue frames for the next call of write()."""
        self._queued.append(frames)

    def write(self) -> None:
        """Write as many bytes as the socket accepts now."""
        while self._writing or self._queued:
            if not self._writing:
                self._writing = memoryview(b"".join(self._queued))
                self._queued.clear()
            try:
                sent = self._sock.send(self._writing)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                raise BrokerConnectionLost(str(error)) from error
            self._writing = self._writing[sent:]
            self._written_at = time.monotonic()

    def wait(self, wake_fd: int, timeout_seconds: float) -> None:
        """Wait until the socket or `wake_fd` is readable, or the socket takes unwritten bytes."""
        if getattr(self._sock, "pending", int)():  # TLS has decrypted bytes that are still unread
            return
        mask = select.POLLIN | (select.POLLOUT if self._writing else 0)
        self._poll.register(self._sock, mask)
        self._poll.register(wake_fd, select.POLLIN)
        self._poll.poll(timeout_seconds * 1000)

    def read(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield the complete frames received so far: type, channel number and payload."""
        try:
            data = self._sock.recv(MAX_READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise BrokerConnectionLost(str(error)) from error
        if not data:
            raise BrokerConnectionLost("The server closed the connection.")
        self._read_at = time.monotonic()
        data = self._unread + data if self._unread else data
        at, end = 0, len(data)
        while end - at >= frame_head.size:
            kind, channel_number, size = frame_head.unpack_from(data, at)
            after = at + frame_head.size + size + len(END)
            if after > end:
                break
            yield kind, channel_number, data[at + frame_head.size : after - len(END)]
            at = after
        self._unread = data[at:]

    def pass_to_py_amqp(self, kind: int, payload: bytes) -> None:
        """Pass a frame of channel 0 to py-amqp, which raises an error on connection.close."""
        self._raw.on_inbound_frame((kind, 0, payload))

    def keep_alive(self, now: float) -> None:
        """Write a heartbeat when it is due; raise BrokerConnectionLost when none was received."""
        interval = self._raw.heartbeat
        if interval and now - self._read_at > 2 * interval:
            raise BrokerConnectionLost(f"No data was received for {2 * interval:g} seconds.")
        # A blocked broker reads nothing, and does not wait for heartbeats either.
        if interval and now - self._written_at > interval / 2 and not self._writing:
            self.put(frame(HEARTBEAT, 0, b""))

    def close(self, *, timeout_seconds: float) -> None:
        """Close the connection, by the protocol if that takes no longer than the timeout."""
        end = time.monotonic() + timeout_seconds
        with suppress(BrokerConnectionLost, AMQPError, OSError):
            self.put(method(0, CONNECTION_CLOSE, "BsBB", 200, "", 0, 0))
            while self._raw.connected and time.monotonic() < end:
                self.write()
                self._poll.register(self._sock, select.POLLIN)
                self._poll.poll(CLOSE_POLL_SECONDS * 1000)
                for kind, channel_number, payload in self.read():
                    if channel_number == 0:
                        self.pass_to_py_amqp(kind, payload)
        with suppress(Exception):
            self._raw.collect()
