"""CPU time and memory of each operation for the largest bodies, legal and illegal.

Run from the root of the repository; it takes about five minutes:

    python -m benchmarks.bounds            # or: python -m benchmarks.bounds batchPeriodicTask

It calls the API in this process, on a SQLite database in memory, so that CPU seconds include the
database. Memory is the growth of the resident memory: at its peak, and after the answer. The
target is 2 CPU seconds and 100 MB of 10⁶ bytes. Rows that miss it are bold.
"""

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import NamedTuple

import django
from django.test.utils import setup_test_environment, teardown_test_environment

os.environ |= {
    "DJANGO_SETTINGS_MODULE": "tests.settings",
    "LOG_LEVEL": "CRITICAL",
    "DATABASE_URL": "sqlite:///:memory:",
    "DATA_DIR": tempfile.mkdtemp(prefix="scheduler-api-benchmark-"),
}
django.setup()

from django.db import connection, transaction  # noqa: E402 - after setup()

from benchmarks.machine import describe, resident_mb  # noqa: E402
from scheduler_api.http.parsing import BULK_MAX_BYTES, DEFAULT_MAX_BYTES  # noqa: E402
from tests.api.http.hostile_bodies import MANIFEST, MOST, bodies_for  # noqa: E402
from tests.api.writes import prepare  # noqa: E402
from tests.client import ContractClient  # noqa: E402
from tests.conftest import caller  # noqa: E402
from tests.contract.document import OPERATIONS, Operation  # noqa: E402

MAX_CPU_SECONDS, MAX_GROWTH_MB = 2.0, 100.0
QUERIES = {"batchPeriodicTask": ["", "?atomic=false"]}
CLEAR_PEAK = "5"  # proc(5), /proc/pid/clear_refs


class Body(NamedTuple):
    """A body with its name in the table."""

    title: str
    media_type: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One request and what it took."""

    operation: str
    body: str
    status: int
    cpu_seconds: float
    peak_mb: float
    kept_mb: float
    answer_bytes: int

    @property
    def is_within(self) -> bool:
        """Whether it meets the target."""
        return self.cpu_seconds < MAX_CPU_SECONDS and self.peak_mb < MAX_GROWTH_MB


def main() -> None:
    setup_test_environment()
    connection.creation.create_test_db(verbosity=0)
    names = set(sys.argv[1:])
    print(f"{describe()}\n\n| operation | body | status | CPU s | peak MB | kept MB | answer KB |")
    print("|---|---|--:|--:|--:|--:|--:|")
    api = caller("tests", scopes=["admin"])
    for operation in OPERATIONS:
        if names and operation.id not in names:
            continue
        if "requestBody" not in operation.described:
            continue
        if names:
            for each in measurements(api, operation):
                print(line(each), flush=True)
        else:
            print(line(worst(list(measurements(api, operation)))), flush=True)
    teardown_test_environment()


def measurements(api: ContractClient, operation: Operation) -> Iterator[Measurement]:
    """Send each body of an operation, and undo what it changes."""
    is_bulk = operation.id in MOST
    size = BULK_MAX_BYTES if is_bulk else DEFAULT_MAX_BYTES
    types = list(operation.described["requestBody"]["content"])
    for media_type in [*types, "application/x-www-form-urlencoded"]:
        for name, body in bodies_for(operation.id, size, media_type):
            for query in QUERIES.get(operation.id, [""]):
                with transaction.atomic():
                    path = f"{prepare(api, operation).args[0]}{query}"
                    title = f"{name}{query} ({media_type.rpartition('/')[2]})"
                    yield measure(api, operation, path, Body(title, media_type, body))
                    if operation.id == MANIFEST and name == "most entries":
                        new = body.replace(b'"task":', b'"description": "New", "task":')
                        changed = Body(f"{title}, all changed", media_type, new)
                        yield measure(api, operation, path, changed)
                    transaction.set_rollback(True)


def measure(api: ContractClient, operation: Operation, path: str, body: Body) -> Measurement:
    """Send one body."""
    gc.collect()
    before, started = resident_mb(os.getpid()), process_time()
    Path("/proc/self/clear_refs").write_text(CLEAR_PEAK)
    response = super(ContractClient, api).generic(
        operation.method.upper(), path, body.content, content_type=body.media_type
    )
    cpu_seconds = process_time() - started
    peak = peak_mb()
    status, size = response.status_code, len(response.content)
    del response
    gc.collect()
    return Measurement(
        operation=operation.id,
        body=body.title,
        status=status,
        cpu_seconds=cpu_seconds,
        peak_mb=peak - before,
        kept_mb=resident_mb(os.getpid()) - before,
        answer_bytes=size,
    )


def peak_mb() -> float:
    """Return the peak of the resident memory since it was cleared, in MB of 10⁶ bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [kilobytes] = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(kilobytes) * 1024 / 1e6


def worst(measured: list[Measurement]) -> Measurement:
    """Return the measurement with the most CPU time."""
    return max(measured, key=lambda each: each.cpu_seconds)


def line(each: Measurement) -> str:
    """Return a row of the table; a target that is missed is bold."""
    mark = "" if each.is_within else "**"
    return (
        f"| {each.operation} | {each.body} | {each.status} | {mark}{each.cpu_seconds:.2f}{mark} "
        f"| {mark}{each.peak_mb:.0f}{mark} | {each.kept_mb:.0f} | {each.answer_bytes / 1e3:.0f} |"
    )


if __name__ == "__main__":
    main()
