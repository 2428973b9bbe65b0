"""django-celery-beat's scheduler, which also knows of pauses, and of who manages what."""

import logging
from datetime import UTC, datetime
from typing import Any

from celery.schedules import schedstate
from django.db import DatabaseError, InterfaceError
from django.db.models import QuerySet
from django_celery_beat import schedulers
from django_celery_beat.models import PeriodicTask
from django_celery_beat.utils import NEVER_CHECK_TIMEOUT

from scheduler_api.periodic_tasks.actions import resume_due
from scheduler_api.periodic_tasks.models import end_of_pause
from scheduler_api.periodic_tasks.settings_entries import let_go, take_over

LONG_AGO = datetime.min.replace(tzinfo=UTC)
logger = logging.getLogger(__name__)


class ModelEntry(schedulers.ModelEntry):
    """An entry that does not make up for the slots of a pause.

    Stock ModelEntry counts from `last_run_at`, which a pause leaves alone: it would find each task
    overdue that resumes.
    """

    def __init__(self, model: PeriodicTask, app: Any = None) -> None:
        super().__init__(model, app=app)
        self.last_run_at: datetime = max(self.last_run_at, end_of_pause(model) or LONG_AGO)

    def is_due(self) -> schedstate:
        """Overridden, since stock beat runs a clocked task whenever it comes to know of it."""
        resumed_at = end_of_pause(self.model)
        if self.model.clocked and resumed_at and self.model.clocked.clocked_time <= resumed_at:
            return schedstate(is_due=False, next=NEVER_CHECK_TIMEOUT)
        due: schedstate = super().is_due()
        return due


class DatabaseScheduler(schedulers.DatabaseScheduler):
    """Adds to the stock scheduler what it does not know, and leaves the rest to it."""

    Entry = ModelEntry

    def setup_schedule(self) -> None:
        """Overridden to say who manages the entries of the settings, and end those that are gone.

        Stock beat would go on running what was deleted from CELERY_BEAT_SCHEDULE.
        """
        super().setup_schedule()
        names = self.app.conf.beat_schedule.keys()
        take_over(names)
        for task in let_go(names):
            logger.info("Disabling %s: CELERY_BEAT_SCHEDULE no longer names it", task.name)

    def enabled_models_qs(self) -> QuerySet[PeriodicTask]:
        """Overridden to fetch in the same query what each entry asks for."""
        tasks: QuerySet[PeriodicTask] = super().enabled_models_qs().select_related("managed")
        return tasks

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """Overridden, since beat calls it at least each second: `beat_max_loop_interval`."""
        self.end_pauses()
        return super().tick(*args, **kwargs)

    def end_pauses(self) -> None:
        """Resume what was paused until now; without a database, with a later tick."""
        try:
            for task in resume_due(at=datetime.now(UTC)):
                logger.info("Resuming %s: its pause is over", task.name)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("Pauses cannot be ended, the database does not answer: %s", error)
