"""The service's own tasks, which workers run as any other."""

from datetime import UTC, datetime, timedelta

from celery import shared_task
from celery.utils.log import get_task_logger
from django.conf import settings

from scheduler_api.catalogue import known
from scheduler_api.runs import retention

logger = get_task_logger(__name__)


@shared_task
def prune_runs() -> None:
    """Delete old runs from the ledger, as RUN_RETENTION_DAYS and RUNS_KEPT_PER_TASK say.

    And forget the workers that nobody has seen for long.
    """
    count = retention.prune(
        at=datetime.now(UTC),
        older_than=timedelta(days=settings.RUN_RETENTION_DAYS),
        kept_per_task=settings.RUNS_KEPT_PER_TASK,
    )
    logger.info("Deleted %d runs from the ledger", count)
    if forgotten := known.forget_old():
        logger.info("Forgot %d workers", forgotten)
