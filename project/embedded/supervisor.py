"""Keep processes running, and stop them in order (docs/decisions/0002-supervisor.md)."""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from scheduler_api.backoff import backoff
from scheduler_api.log_events import EventLogger, LogEvent

logger = EventLogger(__name__)

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=30)
ANNOUNCE_SECONDS = 0.5
# A process that ran for this long did not fail at its start: its pauses begin anew.
STEADY_AFTER_SECONDS = 60
# A worker that gets SIGTERM and SIGQUIT at once may heed the first alone.
KILL_AFTER_SECONDS = 10.0
prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@dataclass(kw_only=True)
class Child:
    """A command to keep running, and the process that runs it now."""

    name: str
    command: Sequence[str]
    # The children of one stage stop together, after those of earlier stages have ended.
    stage: int = 0
    is_stopping: bool = False
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    failures: int = 0

    def start(self) -> None:
        """Start the process in a session of its own, out of reach of the terminal's Ctrl-C."""
        self.started_at = time.monotonic()
        try:
            self.process = subprocess.Popen(  # noqa: S603
                self.command,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=partial(end_with_parent, os.getpid()),  # noqa: PLW1509
            )
        except OSError as error:
            self.start_later(f"does not start ({error})")

    def start_later(self, happened: str) -> None:
        """Count a failure, and delay the next start: longer after each failure in a row."""
        if time.monotonic() - self.started_at >= STEADY_AFTER_SECONDS:
            self.failures = 0
        self.failures += 1
        pause = backoff(self.failures, first=FIRST_PAUSE, longest=LONGEST_PAUSE).total_seconds()
        self.start_at = time.monotonic() + pause
        logger.warning(
            LogEvent.PROCESS_RESTARTED,
            "%(process)s %(reason)s: starting it again in %(retry_in_seconds)d s",
            process=self.name,
            reason=happened,
            retry_in_seconds=pause,
        )

    def ended(self) -> str:
        """Return how the process has ended, once; an empty string while it runs."""
        if self.process is None or (code := self.process.poll()) is None:
            return ""
        # Surviving children would hold its port and do its work a second time.
        self.send(signal.SIGKILL, to_group=True)
        self.process = None
        return f"exited with code {code}" if code >= 0 else f"died of {signal.Signals(-code).name}"

    def send(self, number: signal.Signals, *, to_group: bool = False) -> None:
        """Send a signal to the process, or to it and all its children."""
        if self.process:
            # The group may be gone; macOS answers EPERM when all of it are zombies.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                (os.killpg if to_group else os.kill)(self.process.pid, number)


class Supervisor:
    """Runs children until a SIGINT, SIGTERM or SIGHUP stops them, stage by stage.

    Each child has unlimited time to stop. A second SIGINT ends all at once; a third one, or
    KILL_AFTER_SECONDS, kills them.
    """

    def __init__(
        self, children: Sequence[Child], *, announce: Callable[[], bool] = lambda: True
    ) -> None:
        """`announce` is called every second until it returns True: all children work."""
        self.children = children
        self.announce = announce
        self.is_announced = False
        self.stop_requests = 0
        self.kill_at = float("inf")

    def run(self) -> None:
        wait_for_signals = listen({*STOP_SIGNALS, signal.SIGCHLD})
        while self.running or not self.stop_requests:
            for number in wait_for_signals(self.next_wait()):
                # Only a repeated SIGINT counts: make and service managers may repeat a SIGTERM.
                if number == signal.SIGINT or (number in STOP_SIGNALS and not self.stop_requests):
                    self.stop_harder()
            if time.monotonic() >= self.kill_at:
                self.kill()
            for child in self.running:
                if (how := child.ended()) and self.stop_requests:
                    logger.info(
                        LogEvent.PROCESS_ENDED,
                        "%(process)s %(reason)s",
                        process=child.name,
                        reason=how,
                    )
                elif how:
                    child.start_later(how)
            if self.stop_requests == 1:
                self.stop_next_stage()

    @property
    def running(self) -> list[Child]:
        return [child for child in self.children if child.process]

    def next_wait(self) -> float | None:
        """Start what is due, announce, and return the seconds to the next of both, if any."""
        seconds = self.start_due()
        if not self.is_announced and not self.stop_requests:
            self.is_announced = self.announce()
        if self.is_announced or self.stop_requests:
            return seconds
        return ANNOUNCE_SECONDS if seconds is None else min(seconds, ANNOUNCE_SECONDS)

    def start_due(self) -> float | None:
        """Start the children whose pause is over; return the seconds to the next start, if any."""
        if self.stop_requests:
            left = self.kill_at - time.monotonic()
            return None if self.stop_requests == 1 else max(0.0, left)
        for child in self.children:
            if child.process is None and child.start_at <= time.monotonic():
                child.start()
        waiting = [child.start_at for child in self.children if child.process is None]
        return max(0.0, min(waiting) - time.monotonic()) if waiting else None

    def stop_next_stage(self) -> None:
        """Ask the children of the earliest stage that runs to end, once each."""
        stage = min((child.stage for child in self.running), default=0)
        for child in self.running:
            if child.stage == stage and not child.is_stopping:
                child.is_stopping = True
                child.send(signal.SIGTERM)

    def stop_harder(self) -> None:
        """Begin to stop, or stop by the next stronger signal."""
        self.stop_requests += 1
        match self.stop_requests:
            case 1:
                logger.info(
                    LogEvent.STOPPING,
                    "Stopping; running tasks may finish, another Ctrl-C ends them",
                )
            case 2:
                logger.warning(
                    LogEvent.STOPPING_AT_ONCE,
                    "Ending running tasks; another Ctrl-C kills every process",
                )
                self.kill_at = time.monotonic() + KILL_AFTER_SECONDS
                for child in self.running:
                    child.send(signal.SIGQUIT)  # the cold shutdown of Celery and of gunicorn
            case _:
                self.kill()

    def kill(self) -> None:
        """End all processes and their children, whatever they do."""
        self.kill_at = time.monotonic() + KILL_AFTER_SECONDS
        for child in self.running:
            child.send(signal.SIGKILL, to_group=True)


def listen(numbers: set[signal.Signals]) -> Callable[[float | None], bytes]:
    """Return a function that waits up to a number of seconds for signals and returns them."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in numbers:
        signal.signal(number, lambda *_: None)

    def wait(seconds: float | None) -> bytes:
        return os.read(reader, 512) if select.select([reader], [], [], seconds)[0] else b""

    return wait


def end_with_parent(parent: int) -> None:
    """Make the kernel send this new process SIGTERM when `parent` dies, even of SIGKILL."""
    # The supervisor's own handler would swallow a SIGTERM that arrives before the exec.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if prctl:
        prctl(1, signal.SIGTERM)  # 1 is PR_SET_PDEATHSIG
    if os.getppid() != parent:  # the parent died before the call
        os._exit(1)
