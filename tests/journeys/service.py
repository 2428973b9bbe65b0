"""The whole service as `make up` starts it, in processes of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from tests.journeys.traces import Traces
from tests.ports import free_port
from tests.processes import restore_ctrl_c

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 180  # on a busy machine
STOP_SECONDS = 60
ANSWER_SECONDS = 30  # longer than the lock timeout of SQLite


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response of the service."""

    status: int
    headers: Message
    json: Any


class Service:
    """A running service: its address, its output, and how to call it."""

    command = ("-m", "project.embedded.up")

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.output_file = folder / "output.log"
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            "HOME": str(folder),
            "DATA_DIR": str(folder / "data"),
            "PORT": str(self.port),
            **environment,
        }
        if queue := environment.get("QUEUES", "").partition(",")[0]:
            # Of two workers with one name, RabbitMQ refuses the second, which starts 30 s later.
            self.environment["CELERY_WORKER_HOSTNAME"] = f"celery@{queue}"
        self.traces = Traces(self.environment, self.output_file)
        self.key_file = self.traces.key_file

    def __enter__(self) -> "Service":
        """Start it, and wait until it answers."""
        with self.output_file.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *self.command],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=restore_ctrl_c,  # noqa: PLW1509 - it takes no lock
            )
        try:
            wait_for(self.is_ready, seconds=START_SECONDS, why=self.output)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it as Ctrl-C would, and assert that it has left no secret anywhere."""
        self.stop()
        found = self.traces.found()
        assert not found, "\n".join(found)

    def stop(self) -> None:
        """Stop it, and assert that it ends by itself."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for _ in range(2):  # kills it and all its processes
                self.process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(1)
            raise

    def is_ready(self) -> bool:
        """Return whether a worker waits for messages and the API answers."""
        assert self.process.poll() is None, self.output()
        # The output first: a request every 0.1 s would slow the start of the others down.
        if "ready." not in self.output():
            return False
        try:
            status, _ = self.call("GET", "/readyz")
        except OSError:
            return False
        return status == 200

    def output(self) -> str:
        """Return the output of its processes so far, without colours."""
        return re.sub(r"\x1b\[\d+m", "", self.output_file.read_text(errors="replace"))

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send a request; return the status and the JSON of the answer."""
        answer = self.send(method, path, body)
        return answer.status, answer.json

    def send(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request, with additional headers."""
        request = urllib.request.Request(
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {self.key_file.read_text().strip()}",
                **(headers or {}),
            },
        )
        try:
            response = urllib.request.urlopen(request, timeout=ANSWER_SECONDS)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return Answer(
                status=response.status,
                headers=response.headers,
                json=json.loads(response.read() or "null"),
            )


class Api(Service):
    """The API alone, without beat and worker: definitions of a test never run."""

    command = ("-m", "gunicorn", "project.wsgi")

    def __enter__(self) -> "Api":
        """Prepare the database, as `make up` does, and start it."""
        self.manage("migrate")
        self.key_file.write_text(
            self.manage("create_api_key", "--account", "admin", "--scopes", "admin")
        )
        super().__enter__()
        return self

    def manage(self, *arguments: str) -> str:
        """Run a command of `manage.py`, and return what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def is_ready(self) -> bool:
        """Return whether the API answers."""
        assert self.process.poll() is None, self.output()
        try:
            status, _ = self.call("GET", "/healthz")
        except OSError:
            return False
        return status == 200


def wait_for(
    condition: Callable[[], bool], *, seconds: float, why: Callable[[], str] = lambda: ""
) -> None:
    """Return as soon as a condition holds; fail with the text of `why` if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s\n{why()[-6000:]}"
        time.sleep(0.1)


def compact(text: str) -> str:
    """Return JSON without the blanks and lines between its members, which curl gets."""
    return re.sub(r"(?<=[\[{,:])\s+|\s+(?=[\]}])", "", text)
