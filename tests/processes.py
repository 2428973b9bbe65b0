"""Real processes, with a data directory of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from tests.canaries import KEY, Secrets
from tests.ports import free_port

ROOT = Path(__file__).parents[1]


def restore_ctrl_c() -> None:
    """Give a new process the default handler of SIGINT; a `preexec_fn`.

    A shell starts a background job, and so the tests in it, with SIGINT ignored, and each process
    inherits that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Started:
    """A command that runs, and all that it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def says(self, text: str, *, within: float = 20) -> None:
        """Wait until it has written `text`."""
        wait_until(lambda: text in self.output(), within=within, why=self.output)

    def press_ctrl_c(self) -> None:
        """Interrupt it as a terminal does: the whole foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def exit_code(self, *, within: float = 20) -> int:
        """Wait until it has ended."""
        return self.process.wait(timeout=within)


class Processes:
    """Starts commands, knows all that descends from them, and ends what a test left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.started: list[subprocess.Popen[bytes]] = []
        self.port = free_port()

    def start(self, *command: str, python: bool = True, **environ: str) -> Started:
        """Run a command line of Python, or any other, in a group of its own."""
        log = self.folder / f"{len(self.started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *command] if python else command,
                cwd=ROOT,
                env=self.environ(**environ),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=restore_ctrl_c,  # noqa: PLW1509 - it takes no lock
            )
        self.started.append(process)
        return Started(process, log)

    def environ(self, **environ: str) -> dict[str, str]:
        """Return nothing of what this machine sets, save what it takes to run at all."""
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            "PYTHONWARNINGS": "error::DeprecationWarning,error::PendingDeprecationWarning",
            "PYTHONUNBUFFERED": "1",
            **environ,
        }

    def alive(self) -> dict[int, str]:
        """Return the command lines of all with our data directory, whatever their parent."""
        mark = f"DATA_DIR={self.data_dir}".encode()
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    line = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(process.name)] = line.decode(errors="replace").strip()
        return found

    def are_gone(self, *, within: float = 20) -> None:
        """Wait until none is left."""
        wait_until(lambda: not self.alive(), within=within, why=lambda: str(self.alive()))

    def find(self, text: str) -> int:
        """Return the oldest process whose command line has this text."""
        return min(pid for pid, line in self.alive().items() if text in line)

    def answers(self, path: str = "/healthz") -> bool:
        """Whether the API answers well at this path."""
        with suppress(URLError, ConnectionError, TimeoutError):
            self.get(path)
            return True
        return False

    def get(self, path: str) -> bytes:
        """Return what the API answers, to `admin` once there is a key of his."""
        headers = {}
        with suppress(FileNotFoundError):
            key = (self.data_dir / "admin.key").read_text().strip()
            headers["Authorization"] = f"Bearer {key}"
        request = Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        with urlopen(request, timeout=5) as response:
            answer: bytes = response.read()
            return answer


def wait_until(
    condition: Callable[[], object],
    *,
    within: float = 20,
    why: Callable[[], str] = lambda: "",
) -> None:
    """Return as soon as a condition holds; fail if it does not in time."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"Not within {within} s: {why()}"
        time.sleep(0.05)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    if not Path("/proc/self/environ").exists():
        pytest.skip("Without /proc, there is no telling which processes are left.")
    processes = Processes(tmp_path)
    yield processes
    for pid in processes.alive():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for process in processes.started:
        process.wait()
    for log in tmp_path.glob("*.log"):
        output = log.read_text(errors="replace")
        is_new_key = KEY.fullmatch(output.strip())  # from `manage.py create_api_key`
        assert is_new_key or not Secrets().found_in(output), output
