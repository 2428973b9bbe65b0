"""Beat and workers as real processes that tests can kill, pause and stop."""

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
    """A Celery command, started through `tests.faults.launch`, and its output."""

    def __init__(self, *arguments: str, log: Path, environ: dict[str, str]) -> None:
        self.arguments, self.log, self.environ = arguments, log, environ
        self.popen: subprocess.Popen[bytes] | None = None
        self.log_start = 0

    def start(self, **environ: str) -> None:
        """Start or restart the process; `environ` applies to this start only."""
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
        """Send SIGTERM; kill the process after the timeout. Return whether it ended by itself."""
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
        # The state follows the program's name, which is in brackets.
        state = Path(f"/proc/{self.popen.pid}/stat").read_text().rpartition(") ")[2]
        return state.startswith("T")

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def children(self) -> list[int]:
        """Return the ids of its running child processes."""
        assert self.popen
        pid = self.popen.pid
        with suppress(OSError):  # the process has ended
            return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
        return []

    def close(self) -> None:
        """Kill the process and its children, in any state."""
        if self.popen:
            with suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()

    def output(self) -> str:
        """Return the output since the latest start."""
        return self.log.read_bytes()[self.log_start :].decode(errors="replace")


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return a minimal environment, without this machine's variables, plus `variables`."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
        "DATA_DIR": str(folder / "data"),
        "PYTHONUNBUFFERED": "1",
        **variables,
    }


def beat(*, arm: str, log: Path, environ: dict[str, str]) -> Process:
    """Return a beat with our scheduler or the stock one. It is not started."""
    scheduler = f"--scheduler={SCHEDULERS[arm]}"
    environ = environ | {"FAULTS_ARM": arm}
    return Process("beat", scheduler, "--pidfile=", log=log, environ=environ)


def worker(*, log: Path, environ: dict[str, str]) -> Process:
    """Return a worker with one process. It is not started."""
    options = ["--without-gossip", "--without-mingle", "--pool=solo"]
    return Process("worker", *options, log=log, environ=environ)


def prefork_worker(*, name: str, log: Path, environ: dict[str, str]) -> Process:
    """Return a worker with three child processes, which tests may kill. It is not started."""
    options = ["--without-gossip", "--without-mingle", f"--hostname={name}@%h"]
    pool = ["--pool=prefork", "--concurrency=3"]
    return Process("worker", *options, *pool, log=log, environ=environ)


def wait_until(
    condition: Callable[[], object],
    *,
    timeout_seconds: float,
    details: Callable[[], str] = lambda: "",
) -> None:
    """Wait until the condition holds; fail after `timeout_seconds`."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, (
            f"Condition not met within {timeout_seconds} s: {details()}"
        )
        time.sleep(0.1)
