"""Beat and worker as real processes, to be killed, paused and stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
STOP_TIMEOUT_SECONDS = 10
SCHEDULERS = {
    "ours": "scheduler_api.beat:DatabaseScheduler",
    "stock": "django_celery_beat.schedulers:DatabaseScheduler",
}


class Process:
    """A Celery command, started through `tests.faults.launch`, and all that it writes."""

    def __init__(self, *arguments: str, log: Path, environ: dict[str, str]) -> None:
        self.arguments, self.log, self.environ = arguments, log, environ
        self.popen: subprocess.Popen[bytes] | None = None
        self.log_start = 0

    def start(self, **environ: str) -> None:
        """Start it, again when it has ended; what is given here is for this time only."""
        with self.log.open("ab") as log:
            self.log_start = log.tell()
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.launch", *self.arguments],
                cwd=ROOT,
                env=self.environ | environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def is_alive(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def was_killed(self) -> bool:
        return self.popen is not None and self.popen.poll() == -signal.SIGKILL

    def send(self, number: signal.Signals) -> None:
        assert self.popen
        with suppress(ProcessLookupError):
            os.kill(self.popen.pid, number)

    def kill(self) -> None:
        assert self.popen
        self.send(signal.SIGKILL)
        self.popen.wait()

    def stop(self, *, timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> bool:
        """Ask it to end, and kill it when it has not done so; return whether it has."""
        assert self.popen
        self.send(signal.SIGTERM)
        try:
            self.popen.wait(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def pause(self) -> None:
        self.send(signal.SIGSTOP)

    def is_paused(self) -> bool:
        assert self.popen
        # After the name of the program, which is in brackets.
        state = Path(f"/proc/{self.popen.pid}/stat").read_text().rpartition(") ")[2]
        return state.startswith("T")

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def children(self) -> list[int]:
        """Return the processes that it has started and that have not ended."""
        assert self.popen
        pid = self.popen.pid
        with suppress(OSError):  # it has ended
            return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
        return []

    def close(self) -> None:
        """End it, and what it has started, whatever state it is in."""
        if self.popen:
            with suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()

    def output(self) -> str:
        """Return what it has written since its latest start."""
        return self.log.read_bytes()[self.log_start :].decode(errors="replace")


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return nothing of what this machine sets, save what it takes to run at all."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
        "DATA_DIR": str(folder / "data"),
        "PYTHONUNBUFFERED": "1",
        **variables,
    }


def beat(*, arm: str, log: Path, environ: dict[str, str]) -> Process:
    """Return a beat with our scheduler or the stock one, not started."""
    scheduler = f"--scheduler={SCHEDULERS[arm]}"
    environ = environ | {"FAULTS_ARM": arm}
    return Process("beat", scheduler, "--pidfile=", log=log, environ=environ)


def worker(*, log: Path, environ: dict[str, str]) -> Process:
    """Return a worker, not started."""
    options = ["--without-gossip", "--without-mingle", "--pool=solo"]
    return Process("worker", *options, log=log, environ=environ)


def prefork_worker(*, name: str, log: Path, environ: dict[str, str]) -> Process:
    """Return a worker with three processes that run tasks, not started; it may be harmed."""
    options = ["--without-gossip", "--without-mingle", f"--hostname={name}@%h"]
    pool = ["--pool=prefork", "--concurrency=3"]
    return Process("worker", *options, *pool, log=log, environ=environ)


def wait_until(
    condition: Callable[[], object],
    *,
    timeout_seconds: float,
    details: Callable[[], str] = lambda: "",
) -> None:
    """Return when the condition holds; fail when it does not in so many seconds."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, f"Not within {timeout_seconds} s: {details()}"
        time.sleep(0.1)
