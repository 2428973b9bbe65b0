"""The task whose effects are counted."""

import os
import time
from pathlib import Path
from typing import Any

from celery import Task, shared_task, signals

from scheduler_api.worker.signals import on_success

STARTED, REPEATED = "started", "repeated"
BEGUN, ENDED = "begun", "ended"
IS_RECORDED = bool(os.environ.get("FAULTS_RECORDED"))

if not IS_RECORDED:
    # It has no ledger to write into, and is not to wait for a database.
    signals.task_success.disconnect(on_success)


class Unguarded(Task[..., None]):
    """A task that does not ask the ledger whether its run may start: one worker serves all arms.

    The folder of ids below does the same.
    """

    def before_start(self, *_: object) -> None:
        pass


@shared_task(bind=True, base=Unguarded)
def record_effect(self: Task[..., None], note: str = "") -> None:
    """Append a line to the file of effects: kind, id, periodic task, sent at, started at, note.

    A message may come twice; a run must not start twice. So the first one makes a file of the
    run's id, and the second one sees it.
    """
    folder = Path(os.environ["FAULTS_EFFECTS"])
    request: Any = self.request
    try:
        (folder / "started" / str(request.id)).touch(exist_ok=False)
        kind = STARTED
    except FileExistsError:
        kind = REPEATED
    name = request.get("periodic_task_name") or ""
    fields = [kind, request.id, name, request.get("sent_at") or "", time.time(), note]
    append(folder / "effects", "\t".join(map(str, fields)))


# Of a worker that keeps the ledger, or of one that knows nothing of it.
@shared_task(bind=True, base=Task if IS_RECORDED else Unguarded)
def record_marks(self: Task[..., None], seconds: float) -> None:
    """Append a line when it starts, and one when it ends: kind, id, periodic task, when."""
    file = Path(os.environ["FAULTS_EFFECTS"]) / "marks"
    request: Any = self.request
    name = request.get("periodic_task_name") or ""
    append(file, "\t".join([BEGUN, request.id, name, str(time.time())]))
    time.sleep(seconds)
    append(file, "\t".join([ENDED, request.id, name, str(time.time())]))


@shared_task
def record_nothing() -> None:
    """Do nothing: what a message must not be turned into."""


def append(file: Path, line: str) -> None:
    """Add one line, in one system call: nobody's line is torn."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)
