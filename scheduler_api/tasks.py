"""The service's own tasks. Workers run them like any other task."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from celery import shared_task
from django.conf import settings
from pydantic import Field

from scheduler_api.catalogue import task_lookup
from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.outbound.http_request import MAX_TIMEOUT_SECONDS, perform
from scheduler_api.runs import events, retention
from scheduler_api.webhooks import retention as webhook_retention

logger = EventLogger(__name__)


@shared_task
def prune_runs() -> None:
    """Delete old runs from the ledger, by RUN_RETENTION_DAYS and RUNS_KEPT_PER_TASK.

    Also delete old deliveries, stale events, and workers that were not seen for 30 days.
    """
    now, age = datetime.now(UTC), timedelta(days=settings.RUN_RETENTION_DAYS)
    events.forget(at=now)
    webhook_retention.prune(at=now, older_than=age)
    count = retention.prune(at=now, older_than=age, kept_per_task=settings.RUNS_KEPT_PER_TASK)
    logger.info(LogEvent.RUNS_PRUNED, "Deleted %(count)d runs from the ledger", count=count)
    if forgotten := task_lookup.delete_stale_workers():
        logger.info(
            LogEvent.WORKERS_FORGOTTEN,
            "Deleted %(count)d workers that were not seen for 30 days",
            count=forgotten,
        )


@shared_task
def http_request(  # noqa: PLR0917 - callers may send each argument by position
    url: str,
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "POST",
    headers: dict[str, str] | None = None,
    body: Any = None,
    expected_status: Annotated[int, Field(ge=100, le=599)] | list[int] | None = None,
    timeout_seconds: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_SECONDS)] = 30,
) -> dict[str, Any]:
    """Send an HTTP request to one of the hosts in the setting HTTP_REQUEST_HOSTS.

    A text body is sent as it is, any other value as JSON. The task fails if no answer arrives in
    time, or if its status is not expected; by default every 2xx is. Redirects are not followed.
    The result has `status`, the beginning of the `body`, and `duration_seconds`.
    """
    expected = [expected_status] if isinstance(expected_status, int) else expected_status or []
    return perform(
        url,
        method=method,
        headers=headers,
        body=body,
        expected_status=expected,
        timeout_seconds=timeout_seconds,
    )
