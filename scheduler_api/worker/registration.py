"""What a worker tells of itself: at its start what it can run, and then that it lives.

By a thread of its main process, so that a database that does not answer holds up neither its start
nor its messages. That process forks, and a child must find no lock that is held for ever by a
thread that it has not: so it waits for what the thread does with the database to be over.
"""

import hashlib
import json
import os
import signal
import threading
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
from scheduler_api.worker.fork_lock import fork_lock

HEARTBEAT_SECONDS = 20
STOP_SECONDS = 5  # for which a worker that stops waits for the database
MAX_VERSION_LENGTH = 100
MAX_NAME_LENGTH = 200  # of what a periodic task can name

logger = EventLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """What a worker tells of itself; `queues` asks for what may change while it runs."""

    name: str
    queues: Callable[[], list[str]]
    version: str
    pid: int
    concurrency: int
    tasks: Callable[[], list[RegisteredTask]]
    session: UUID = field(default_factory=uuid4)


class Announcer(threading.Thread):
    """Tells it, at once and then every so many seconds."""

    def __init__(self, announcement: Announcement) -> None:
        super().__init__(name="announcer", daemon=True)
        self._announcement = announcement
        self._is_over = threading.Event()
        self._is_known = False  # to the database
        self._is_away = False

    def run(self) -> None:
        # They are for the main thread, which would not be woken by one that came to this.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            self._try(self._beat)
            if self._is_over.wait(HEARTBEAT_SECONDS):
                break
        self._try(self._leave)

    def stop(self) -> None:
        """Say that the worker stops."""
        self._is_over.set()
        self.join(STOP_SECONDS)

    def _try(self, tell: Callable[[], None]) -> None:
        """Tell something, unless the database does not answer or is not prepared."""
        with fork_lock:
            try:
                tell()
                self._is_away = False
            except (DatabaseError, InterfaceError) as error:
                log = logger.debug if self._is_away else logger.warning
                self._is_away = True
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

    def _beat(self) -> None:
        told = self._announcement
        of_name = Worker.objects.filter(name=told.name)
        if self._is_known:
            mine = of_name.filter(session=told.session)
            if mine.update(last_seen_at=Now(), queues=told.queues()):
                return
            if of_name.filter(IS_ALIVE).exists():
                return  # another has the name now
        announce(told)
        self._is_known = True

    def _leave(self) -> None:
        mine = Worker.objects.filter(session=self._announcement.session)
        mine.update(last_seen_at=Now(), stopped_at=Now())


@transaction.atomic
def announce(told: Announcement) -> None:
    """Store what a worker tells, as far as it differs."""
    task_list = store_tasks(told.tasks())
    before = Worker.objects.filter(name=told.name).first()
    if before is not None and before.task_list_id != task_list.pk:
        # Of the tasks that it has no longer, this is the last that is known.
        gone = TaskSpec.objects.filter(lists=before.task_list_id)
        gone = gone.filter(last_seen_at__lt=before.last_seen_at)
        names = gone.exclude(lists=task_list).order_by("name").values_list("pk", flat=True)
        TaskSpec.objects.filter(pk__in=list(names)).update(last_seen_at=before.last_seen_at)
    Worker.objects.update_or_create(
        name=told.name,
        defaults={
            "session": told.session,
            "queues": told.queues(),
            "version": told.version[:MAX_VERSION_LENGTH],
            "celery_version": celery.__version__[:MAX_VERSION_LENGTH],
            "pid": told.pid,
            "concurrency": told.concurrency,
            "task_list": task_list,
            "started_at": Now(),
            "last_seen_at": Now(),
            "stopped_at": None,
        },
    )


def store_tasks(tasks: list[RegisteredTask]) -> TaskList:
    """Store those that differ from what is stored; return the list of all of them."""
    columns = ("name", "doc", "schema", "is_recorded")
    told = {
        # PostgreSQL has no text with the character of the code 0.
        task.name: (
            task.name,
            task.doc.replace("\0", ""),
            json.dumps(task.signature.schema),
            task.is_recorded,
        )
        for task in tasks
        if len(task.name) <= MAX_NAME_LENGTH
    }
    known = {row[0]: row for row in TaskSpec.objects.filter(name__in=told).values_list(*columns)}
    # In one order, so that workers that start together do not wait for each other in a circle.
    TaskSpec.objects.bulk_create(
        [
            TaskSpec(**dict(zip(columns, told[name], strict=True)), last_seen_at=Now())
            for name in sorted(told)
            if told[name] != known.get(name)
        ],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=[*columns[1:], "last_seen_at"],
    )
    digest = hashlib.sha256(json.dumps(sorted(told)).encode()).hexdigest()
    task_list, is_new = TaskList.objects.get_or_create(digest=digest)
    if is_new:
        task_list.specs.set(TaskSpec.objects.filter(name__in=told))
    return task_list


# --- Hooks --------------------------------------------------------------------------------------


_announcer: Announcer | None = None


def connect() -> None:
    """Have Celery call what is here. Each is connected once, however often it is called."""
    signals.worker_ready.connect(on_ready)
    signals.worker_shutdown.connect(on_shutdown)


def on_ready(sender: Any, **_: object) -> None:
    """Begin to tell of a worker: it takes messages now."""
    global _announcer  # noqa: PLW0603 - a process has one worker
    _announcer = Announcer(announcement_of(sender))
    _announcer.start()


def announcement_of(consumer: Any) -> Announcement:
    """Return what the consumer of a worker, celery.worker.consumer.Consumer, tells of it."""
    app: Celery = consumer.app
    return Announcement(
        name=consumer.hostname,
        queues=lambda: sorted(app.amqp.queues.consume_from),
        version=settings.APP_VERSION,
        pid=os.getpid(),
        concurrency=consumer.controller.concurrency,
        tasks=lambda: registered_tasks(app),
    )


def on_shutdown(**_: object) -> None:
    """Say that the worker stops."""
    global _announcer
    announcer, _announcer = _announcer, None
    if announcer is not None:
        announcer.stop()
