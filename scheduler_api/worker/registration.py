"""Registers a worker and its tasks in the catalogue, and sends heartbeats while it runs.

A thread of the worker's main process does it, so that a database that does not answer delays
neither the worker's start nor its messages. That process forks, and a child must not inherit a
lock of a thread that it does not have: so a fork waits until the thread is done with the database.
"""

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import celery
from celery import Celery, signals
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models.functions import Now

from scheduler_api.catalogue.models import IS_ALIVE, TaskList, TaskSpec, Worker
from scheduler_api.catalogue.registry import RegisteredTask, registered_tasks
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.worker import queue_check
from scheduler_api.worker.fork_lock import fork_lock
from scheduler_api.worker.returned_messages import returned_tasks

HEARTBEAT_SECONDS = 20
STOP_TIMEOUT_SECONDS = 5
MAX_VERSION_LENGTH = 100
MAX_RETURNED_TASKS = 100  # stored in the row of the worker
MAX_NAME_LENGTH = 200  # of the task of a periodic task

logger = EventLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """A worker's description of itself; `queues` and `tasks` return the current ones.

    `queue_state` returns what the worker has found in its queues, as columns of its row.
    """

    name: str
    queues: Callable[[], list[str]]
    queue_state: Callable[[], dict[str, Any]] = dict
    version: str
    pid: int
    concurrency: int
    tasks: Callable[[], list[RegisteredTask]]
    session: UUID = field(default_factory=uuid4)


class Announcer(threading.Thread):
    """Writes the announcement at once, and then a heartbeat every HEARTBEAT_SECONDS."""

    def __init__(self, announcement: Announcement) -> None:
        super().__init__(name="announcer", daemon=True)
        self._announcement = announcement
        self._is_stopping = threading.Event()
        self._is_registered = False
        self._is_failing = False

    def run(self) -> None:
        # Signals are for the main thread, which a signal to this thread would not wake.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            self._try(self._send_heartbeat)
            if self._is_stopping.wait(HEARTBEAT_SECONDS):
                break
        self._try(self._record_stop)

    def stop(self) -> None:
        """Record that the worker stops, and end the thread."""
        self._is_stopping.set()
        self.join(STOP_TIMEOUT_SECONDS)

    def _try(self, write: Callable[[], None]) -> None:
        """Write to the database; log the error if it does not answer or is not migrated."""
        with fork_lock:
            try:
                write()
                self._is_failing = False
            except (DatabaseError, InterfaceError) as error:
                log = logger.debug if self._is_failing else logger.warning
                self._is_failing = True
                log(
                    LogEvent.WORKER_REGISTRATION_DEFERRED,
                    "This worker is registered in the catalogue later: %(error)s",
                    error=in_one_line(error),
                )
            except Exception:
                logger.exception(
                    LogEvent.WORKER_REGISTRATION_FAILED,
                    "This worker cannot be registered in the catalogue",
                )
            finally:
                connection.close()

    def _send_heartbeat(self) -> None:
        announcement = self._announcement
        of_name = Worker.objects.filter(name=announcement.name)
        if self._is_registered:
            mine = of_name.filter(session=announcement.session)
            if mine.update(
                last_seen_at=Now(), queues=announcement.queues(), **announcement.queue_state()
            ):
                return
            if of_name.filter(IS_ALIVE).exists():
                return  # another worker has taken the name
        announce(announcement)
        self._is_registered = True

    def _record_stop(self) -> None:
        mine = Worker.objects.filter(session=self._announcement.session)
        mine.update(last_seen_at=Now(), stopped_at=Now())


@transaction.atomic
def announce(announcement: Announcement) -> None:
    """Store an announcement: the worker, and the tasks that differ from the stored ones."""
    task_list = store_tasks(announcement.tasks())
    before = Worker.objects.filter(name=announcement.name).first()
    if before is not None and before.task_list_id != task_list.pk:
        # The worker was the last known one with the tasks that it no longer has.
        gone = TaskSpec.objects.filter(lists=before.task_list_id)
        gone = gone.filter(last_seen_at__lt=before.last_seen_at)
        names = gone.exclude(lists=task_list).order_by("name").values_list("pk", flat=True)
        TaskSpec.objects.filter(pk__in=list(names)).update(last_seen_at=before.last_seen_at)
    Worker.objects.update_or_create(
        name=announcement.name,
        defaults={
            "session": announcement.session,
            "queues": announcement.queues(),
            **announcement.queue_state(),
            "version": announcement.version[:MAX_VERSION_LENGTH],
            "celery_version": celery.__version__[:MAX_VERSION_LENGTH],
            "pid": announcement.pid,
            "concurrency": announcement.concurrency,
            "task_list": task_list,
            "started_at": Now(),
            "last_seen_at": Now(),
            "stopped_at": None,
        },
    )


def store_tasks(tasks: list[RegisteredTask]) -> TaskList:
    """Store tasks that differ from the stored ones; return the list of all of them."""
    columns = ("name", "doc", "schema", "is_recorded", "is_binding")
    registered = {
        # PostgreSQL cannot store the character with code 0.
        task.name: (
            task.name,
            task.doc.replace("\0", ""),
            json.dumps(task.signature.schema),
            task.is_recorded,
            task.is_binding,
        )
        for task in tasks
        if len(task.name) <= MAX_NAME_LENGTH
    }
    known = {
        row[0]: row for row in TaskSpec.objects.filter(name__in=registered).values_list(*columns)
    }
    # Sorted, so that workers that start at the same time do not deadlock.
    TaskSpec.objects.bulk_create(
        [
            TaskSpec(**dict(zip(columns, registered[name], strict=True)), last_seen_at=Now())
            for name in sorted(registered)
            if registered[name] != known.get(name)
        ],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=[*columns[1:], "last_seen_at"],
    )
    digest = hashlib.sha256(json.dumps(sorted(registered)).encode()).hexdigest()
    task_list, is_new = TaskList.objects.get_or_create(digest=digest)
    if is_new:
        task_list.specs.set(TaskSpec.objects.filter(name__in=registered))
    return task_list


# --- Hooks --------------------------------------------------------------------------------------


_announcer: Announcer | None = None


def connect() -> None:
    """Connect the handlers to Celery. Calling it again changes nothing."""
    signals.worker_ready.connect(on_ready)
    signals.worker_shutdown.connect(on_shutdown)


def on_ready(sender: Any, **_: object) -> None:
    """Start to announce a worker, which consumes messages now."""
    global _announcer  # noqa: PLW0603 - a process has one worker
    _announcer = Announcer(announcement_of(sender))
    _announcer.start()


def announcement_of(consumer: Any) -> Announcement:
    """Return the announcement of a worker, from its celery.worker.consumer.Consumer."""
    app: Celery = consumer.app
    return Announcement(
        name=consumer.hostname,
        queues=lambda: sorted(app.amqp.queues.consume_from),
        queue_state=queue_state,
        version=settings.APP_VERSION,
        pid=os.getpid(),
        concurrency=consumer.controller.concurrency,
        tasks=lambda: registered_tasks(app),
    )


def queue_state() -> dict[str, Any]:
    """Return what this worker has found in its queues, as columns of its row."""
    mismatches = list(queue_check.mismatches.values())
    returned = returned_tasks.recent(now=time.monotonic())
    return {
        "queue_mismatches": [mismatch.as_json() for mismatch in mismatches],
        "returned_tasks": [[queue, task] for queue, task in returned][:MAX_RETURNED_TASKS],
    }


def on_shutdown(**_: object) -> None:
    """Record that the worker stops."""
    global _announcer
    announcer, _announcer = _announcer, None
    if announcer is not None:
        announcer.stop()
