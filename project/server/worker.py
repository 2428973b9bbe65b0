"""A gunicorn worker whose threads never wait for a client.

gunicorn's own gthread gives a connection to a thread, which then waits for the head and the body
for as long as the client likes: as many silent connections as there are threads stop the API. Here
the main thread alone talks to clients (client_loop.py). A thread gets a request when it is
complete, and its answer waits for the client without the thread.

gunicorn's master process, its parser of heads and its responses are used as they are. Its TLS,
HTTP/2, PROXY protocol and hooks of requests are not: a proxy in front speaks those.
"""

import os
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from io import BytesIO
from types import FrameType
from typing import Any

from gunicorn.http import wsgi
from gunicorn.workers.base import Worker

from project import settings
from project.server.client_loop import ClientLoop
from project.server.connection import Connection, Phase
from project.server.connections import Connections
from project.server.problems import Overloaded
from project.server.refusals import refusal, request_id_of
from scheduler_api.http.middleware import current_request_id
from scheduler_api.http.problems import ServerError
from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.self_pipe import SelfPipe

logger = EventLogger(__name__)

# What all bodies and answers in memory may take, per process; the largest body takes 8 MiB.
MAX_HELD_BYTES = 64 * 1024 * 1024
# How long a complete request may wait for a thread.
WAIT_SECONDS = 30.0
# Probes have threads of their own, so that they are answered whatever else hangs. Those of one
# path do not wait for the other: `/readyz` asks the database and the broker.
PROBE_THREADS = {"/healthz": 1, "/readyz": 2}
PROBE_WAIT_SECONDS = 5.0
# How long a stopping worker waits for a request that may be on its way.
STOP_SECONDS = 1.0


class BufferingWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """Handles complete requests by threads; a loop does all that may be slow."""

    def init_process(self) -> None:
        """Make what a process cannot inherit, then run."""
        self.answered: deque[tuple[Connection, Future[bool], bool]] = deque()
        self.waker = SelfPipe()
        self.threads = ThreadPoolExecutor(self.cfg.threads)
        self.probes = {path: ThreadPoolExecutor(count) for path, count in PROBE_THREADS.items()}
        self.under_way = 0  # requests that threads handle, or that wait for one; without probes
        # The others wait for their clients, and give way to new connections.
        self.max_under_way = settings.API_CONNECTIONS // 2
        self.connections = Connections(
            at_most=settings.API_CONNECTIONS,
            # Behind a proxy, all connections have its address; the proxy has the bound.
            per_address=None if settings.PROXIES else settings.API_CONNECTIONS_PER_ADDRESS,
            max_bytes=MAX_HELD_BYTES,
        )
        self.loop = ClientLoop(
            self.cfg,
            self.connections,
            self.enqueue,
            max_body_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
        )
        super().init_process()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Finish on SIGTERM."""
        super().handle_exit(sig, frame)
        self.waker.wake()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """Stop at once on SIGINT and SIGQUIT."""
        self.drop_waiting()
        super().handle_quit(sig, frame)

    def run(self) -> None:
        """Serve until the worker is told to stop, or its master is gone; then finish."""
        self.loop.call_when_readable(self.waker, self.take_answered)
        for listener in self.sockets:
            self.loop.listen(listener)
        while self.alive and self.ppid == os.getppid():
            self.notify()
            self.loop.turn()
        self.finish()

    def finish(self) -> None:
        """Accept nothing more; answer the requests that are there."""
        self.alive = False
        for listener in self.sockets:
            self.loop.poller.unregister(listener)
            listener.close()
        self.loop.close_idle_within(STOP_SECONDS)
        end = time.monotonic() + self.cfg.graceful_timeout
        while len(self.connections) and time.monotonic() < end:
            self.notify()
            self.loop.turn()
        self.drop_waiting()

    def drop_waiting(self) -> None:
        """Drop the requests that no thread has begun."""
        for pool in (self.threads, *self.probes.values()):
            pool.shutdown(wait=False, cancel_futures=True)

    def enqueue(self, connection: Connection) -> None:
        """Give a complete request to a thread, or refuse it if too many wait for one."""
        assert connection.received
        threads = self.probes.get(connection.received.request.path, self.threads)
        is_probe = threads is not self.threads
        if not is_probe and self.under_way >= self.max_under_way:
            self.loop.refuse(connection, Overloaded("Too many requests wait. Retry later."))
            return
        self.under_way += not is_probe
        seconds = PROBE_WAIT_SECONDS if is_probe else WAIT_SECONDS
        connection.enter(Phase.HANDLING, now=time.monotonic(), seconds=seconds)
        connection.handled = threads.submit(self.handle, connection)
        connection.handled.add_done_callback(
            lambda done: self.put_back(connection, done, is_probe=is_probe)
        )

    def put_back(self, connection: Connection, handled: Future[bool], *, is_probe: bool) -> None:
        """Return a connection to the loop, from any thread."""
        self.answered.append((connection, handled, is_probe))
        self.waker.wake()

    def take_answered(self) -> None:
        """Go on with the connections that threads have answered."""
        self.waker.drain()
        while self.answered:
            connection, handled, is_probe = self.answered.popleft()
            self.under_way -= not is_probe
            self.nr += 1
            if handled.cancelled():
                self.loop.refuse(connection, Overloaded("No thread became free. Retry later."))
            else:
                connection.keeps_alive = handled.result()
                connection.received = None
                self.loop.send(connection)
        if self.alive and self.nr >= self.max_requests:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False

    # --- In a thread ---------------------------------------------------------------------------

    def handle(self, connection: Connection) -> bool:
        """Answer a request; return whether the connection may have another one."""
        assert connection.received
        request = connection.received.request
        current_request_id.set(request_id_of(request))
        keeps_alive = False
        try:
            keeps_alive = self.respond(connection, request, connection.received.body)
        except Exception:
            logger.exception(
                LogEvent.REQUEST_FAILED,
                "%(method)s %(path)s failed",
                method=request.method,
                path=request.path,
            )
            # Nothing of the answer is sent before all of it is there.
            connection.outgoing.clear()
            connection.outgoing.sendall(refusal(ServerError(), request, client=connection.client))
        with suppress(OSError):  # which the loop meets again
            connection.outgoing.flush(connection.sock)
        return keeps_alive

    def respond(self, connection: Connection, request: Any, body: bytes) -> bool:
        """Call the application as gthread does, with the body that is already there."""
        started_at = datetime.now()  # noqa: DTZ005 - gunicorn subtracts such a one
        request._expected_100_continue = False  # the loop has sent it
        response, environ = wsgi.create(
            request, connection.outgoing, connection.peer, connection.server, self.cfg
        )
        environ["wsgi.multithread"] = True
        environ["wsgi.input"] = BytesIO(body)
        environ["HTTP_X_REQUEST_ID"] = request_id_of(request)
        if not self.alive or not self.cfg.keepalive:
            response.force_close()
        answer = self.wsgi(environ, response.start_response)
        try:
            if isinstance(answer, environ["wsgi.file_wrapper"]):
                response.write_file(answer)
            elif request.method != "HEAD":  # gunicorn would log a warning for each
                for part in answer:
                    response.write(part)
            response.close()
        finally:
            self.log.access(response, request, environ, datetime.now() - started_at)  # noqa: DTZ005
            if hasattr(answer, "close"):
                answer.close()
        return not response.should_close()
