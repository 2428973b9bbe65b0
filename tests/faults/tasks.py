"""Tasks that record their runs in files, for the checker."""

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
    # This worker has no ledger to write to, and must not wait for a database.
    signals.task_success.disconnect(on_success)


class Unguarded(Task[..., None]):
    """A task that does not check the ledger before it starts, because one worker serves all arms.

    The folder of run ids in `record_effect` replaces that check.
    """

    def before_start(self, *_: object) -> None:
        pass


@shared_task(bind=True, base=Unguarded)
def record_effect(self: Task[..., None], note: str = "") -> None:
    """Append a line to the effects file: kind, run id, periodic task, sent at, started at, note.

    A message may arrive twice, but a run must not start twice. The first message creates a file
    named by the run id; a second message finds it and is recorded as repeated.
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


# Runs on workers that use the ledger, and on workers without it.
@shared_task(bind=True, base=Task if IS_RECORDED else Unguarded)
def record_marks(self: Task[..., None], seconds: float) -> None:
    """Append a line at the start and one at the end: kind, run id, periodic task, time."""
    file = Path(os.environ["FAULTS_EFFECTS"]) / "marks"
    request: Any = self.request
    name = request.get("periodic_task_name") or ""
    append(file, "\t".join([BEGUN, request.id, name, str(time.time())]))
    time.sleep(seconds)
    append(file, "\t".join([ENDED, request.id, name, str(time.time())]))


@shared_task
def record_nothing() -> None:
    """Do nothing. A poison row's headers try to send this task instead."""


def append(file: Path, line: str) -> None:
    """Append one line in one system call, so that concurrent writers do not mix lines."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)
