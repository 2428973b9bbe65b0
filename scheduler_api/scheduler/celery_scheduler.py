"""The scheduler that `celery -A project beat` runs: Celery's interface to the engine."""

import gc
import signal
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from celery.beat import Scheduler
from celery.utils.imports import symbol_by_name
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from scheduler_api.broker.publisher import Publisher
from scheduler_api.broker.queue_depths import QueueDepthProbe
from scheduler_api.catalogue.registry import registered_tasks
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.periodic_tasks.settings_entries import store_entries
from scheduler_api.scheduler.engine import Engine
from scheduler_api.scheduler.lost_messages import LostMessages, router_of
from scheduler_api.scheduler.postgres_store import store_of_database
from scheduler_api.scheduler.pruning import Pruner
from scheduler_api.scheduler.waker import Waker

STOP_TIMEOUT_SECONDS = 10
# By name: the task knows every package, and beat only those below it.
PRUNE_RUNS = "scheduler_api.tasks:prune_runs"
# A batch creates thousands of objects without reference cycles. With Python's default threshold of
# 700, searching for cycles takes a tenth of beat's time, and each full collection pauses 0.1 s.
GC_THRESHOLD_OBJECTS = 50_000

logger = EventLogger(__name__)


class DatabaseScheduler(Scheduler):
    """Celery beat's scheduler, run from the agenda.

    It overrides what celery.beat.Service calls of celery.beat.Scheduler: `tick`, which also
    sleeps, `close`, and `info` for the banner. There is no schedule in memory.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._engine: Engine | None = None
        self._pruner: Pruner | None = None
        self._has_entries = False
        self._is_stopping = False
        super().__init__(*args, **kwargs)
        self.max_interval = 1

    def setup_schedule(self) -> None:
        """Start the engine; the database may still be unavailable."""
        registered_tasks(self.app)  # import the tasks now, so that the first batch does not wait
        gc.freeze()  # exclude the objects that exist now from collections
        gc.set_threshold(GC_THRESHOLD_OBJECTS, *gc.get_threshold()[1:])
        waker = Waker()
        publisher = Publisher(self.app, wake=waker.wake)
        publisher.start()
        self._engine = Engine(
            store=store_of_database(),
            publisher=publisher,
            waker=waker,
            revoke=self.revoke,
            grace=timedelta(seconds=settings.MISFIRE_GRACE),
            lost_messages=LostMessages(
                queue_of=router_of(self.app), depth_probe=QueueDepthProbe(self.app)
            ),
        )
        self._pruner = Pruner(symbol_by_name(PRUNE_RUNS).run)
        self._pruner.start()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self.ask_to_stop)

    def tick(self, *_: Any, **__: Any) -> float:
        """Run one tick, including its sleep; return 0, so that Celery does not sleep again."""
        assert self._engine is not None
        if not self._has_entries:
            self._has_entries = self.store_entries()
        if not self._is_stopping:
            self._engine.tick()
        if self._is_stopping:
            raise SystemExit
        return 0

    def store_entries(self) -> bool:
        """Store the entries of CELERY_BEAT_SCHEDULE; return whether it succeeded."""
        try:
            store_entries(self.app)
        except (DatabaseError, InterfaceError) as error:
            logger.debug(
                LogEvent.SETTINGS_ENTRIES_DEFERRED,
                "The entries of CELERY_BEAT_SCHEDULE are stored later: %(error)s",
                error=in_one_line(error),
            )
            connection.close()
            return False
        return True

    def ask_to_stop(self, *_: object) -> None:
        """Stop after the current batch; on a second signal, stop at once.

        celery.apps.beat would raise an exception in the middle of the batch.
        """
        if self._is_stopping:
            raise SystemExit
        self._is_stopping = True
        if self._engine is not None:
            self._engine.waker.wake()

    def revoke(self, run_ids: Sequence[str]) -> None:
        """Revoke runs on all workers, and terminate the runs that have started."""
        try:
            self.app.control.revoke(list(run_ids), terminate=True)
        except Exception as error:  # noqa: BLE001 - kombu raises many types; the ledger has the runs as cancelled
            logger.warning(
                LogEvent.REVOCATION_FAILED,
                "The revocation of %(count)d cancelled runs could not be sent to the workers: "
                "%(error)s",
                count=len(run_ids),
                run_ids=list(run_ids),
                error=in_one_line(error),
            )

    def close(self) -> None:
        """Stop the engine: wait for outstanding confirmations and close all connections."""
        if self._pruner is not None:
            self._pruner.stop()
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.stop(timeout_seconds=STOP_TIMEOUT_SECONDS)

    def sync(self) -> None:
        """Do nothing: everything is in the database."""

    @property
    def info(self) -> str:
        """Return the banner's line about this scheduler."""
        return f"    . db -> {connection.vendor}"
