"""A WSGI application that hangs, fails and echoes, in the place of the API."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from project.server import worker

worker.WAIT_SECONDS = float(os.environ.get("WAIT_SECONDS", worker.WAIT_SECONDS))

# A request for /hang ends when this file exists.
RELEASE = Path(os.environ.get("DATA_DIR", ".")) / "release"


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/fail":
        raise RuntimeError("The application fails.")
    if environ["PATH_INFO"] == "/late":
        start_response("200 OK", [("Content-Length", "100")])
        return fail_late()
    if environ["PATH_INFO"] == "/hang":
        while not RELEASE.exists():
            time.sleep(0.05)
    body = environ["wsgi.input"].read() or environ["SCRIPT_NAME"].encode() or b"empty"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def fail_late() -> Iterable[bytes]:
    yield b"some of the answer"
    raise RuntimeError("The application fails after its head.")
