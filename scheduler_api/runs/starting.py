"""A worker does not start the same run twice."""

import logging
from datetime import UTC, datetime
from typing import Any

from celery.app.task import Task
from celery.exceptions import Ignore
from django.core.exceptions import ValidationError
from django.db import DatabaseError, InterfaceError

from scheduler_api.runs.models import Run

logger = logging.getLogger(__name__)


def before_start(task: Task[Any, Any], task_id: str, args: object, kwargs: object) -> None:
    """Drop a message whose run has started, or is not to start.

    Beat publishes again, under the same id, what a crash or the broker has left in doubt: it may
    have arrived. It takes the place of celery.app.task.Task.before_start, which does nothing, so
    that every task is asked; one with a method of its own calls that of `super()`.

    Only messages of beat are asked about, and each is run that the ledger does not know: so is
    everything while the database does not answer. A retry is no second start, and neither is what
    the broker delivers again, since the worker that had it did not end it.
    """
    request = task.request
    is_of_beat = getattr(request, "periodic_task_name", None) is not None
    is_again = request.retries or (request.delivery_info or {}).get("redelivered")
    if is_of_beat and not is_again and not may_start(task_id, at=datetime.now(UTC)):
        logger.info("Dropping a message of %s: its run has started, or was cancelled", task_id)
        raise Ignore


def may_start(run_id: str, *, at: datetime) -> bool:
    """Note that a run starts; False when it has started before, or has ended."""
    try:
        runs = Run.objects.filter(pk=run_id)
        startable = runs.filter(state__in=Run.ACTIVE, started_at=None)
        return startable.update(started_at=at) == 1 or not runs.exists()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("Starting %s without asking the ledger: %s", run_id, error)
    except ValidationError:  # not an id of ours
        pass
    return True
