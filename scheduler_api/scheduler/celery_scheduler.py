"""What `celery -A project beat` runs: our engine in the place of Celery's scheduler."""

import gc
import signal
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from celery.beat import Scheduler
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
from scheduler_api.scheduler.waker import Waker

STOP_SECONDS = 10
# A batch makes thousands of objects, none of which refers to itself: with Python's 700, looking
# for such takes a tenth of beat's time, and a pause of 0.1 s each time that it looks at all.
OBJECTS_UNTIL_COLLECTED = 50_000

logger = EventLogger(__name__)


class DatabaseScheduler(Scheduler):
    """Celery beat's scheduler on the agenda.

    Of celery.beat.Scheduler it keeps the interface that celery.beat.Service calls: `tick`, which
    also sleeps, `close`, and what the banner tells. There is no schedule in memory.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._engine: Engine | None = None
        self._has_entries = False
        self._is_stopping = False
        super().__init__(*args, **kwargs)
        self.max_interval = 1

    def setup_schedule(self) -> None:
        """Start the engine; the database need not answer yet."""
        registered_tasks(self.app)  # loads them, so that the first batch need not wait for it
        gc.freeze()  # what is there now stays
        gc.set_threshold(OBJECTS_UNTIL_COLLECTED, *gc.get_threshold()[1:])
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
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self.ask_to_stop)

    def tick(self, *_: Any, **__: Any) -> float:
        """Do what there is to do and sleep until there is more; Celery need not sleep."""
        assert self._engine is not None
        if not self._has_entries:
            self._has_entries = self.store_entries()
        if not self._is_stopping:
            self._engine.tick()
        if self._is_stopping:
            raise SystemExit
        return 0

    def store_entries(self) -> bool:
        """Store the entries of CELERY_BEAT_SCHEDULE; return whether that was possible."""
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
        """Stop when the batch in hand is done; at once when asked again.

        celery.apps.beat would end whatever is being done, with an exception in the middle of it.
        """
        if self._is_stopping:
            raise SystemExit
        self._is_stopping = True
        if self._engine is not None:
            self._engine.waker.wake()

    def revoke(self, run_ids: Sequence[str]) -> None:
        """Ask the workers not to start runs, or to end them."""
        try:
            self.app.control.revoke(list(run_ids), terminate=True)
        except Exception as error:  # noqa: BLE001 - kombu has many; the ledger says that they are cancelled
            logger.warning(
                LogEvent.REVOCATION_FAILED,
                "The revocation of %(count)d cancelled runs could not be sent to the workers: "
                "%(error)s",
                count=len(run_ids),
                run_ids=list(run_ids),
                error=in_one_line(error),
            )

    def close(self) -> None:
        """Finish what is with the broker, and let go of everything."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.stop(timeout_seconds=STOP_SECONDS)

    def sync(self) -> None:
        """Do nothing: all is in the database."""

    @property
    def info(self) -> str:
        """Return what the banner says of this scheduler."""
        return f"    . db -> {connection.vendor}"
