"""Give up runs that no worker reports on: mark them `lost`, or retry them."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import (
    DateTimeField,
    DurationField,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce

from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.periodic_tasks.models import MAX_RUNTIME_SECONDS, ManagedTask
from scheduler_api.runs.models import LEASE, Run
from scheduler_api.runs.retry_policy import give_up
from scheduler_api.scheduler.store import Store

State = Run.State

REAP_BATCH_SIZE = 200
ONE_SECOND = timedelta(seconds=1)
WORKER_SILENT = f"Its worker has not reported for {LEASE.total_seconds():.0f} seconds."
RETRY_NOT_STARTED = "A retry was due, and no worker has started it."
NOT_REPORTED = (
    "No worker has reported on it within max_runtime_seconds: its message waits in a long queue "
    "or is lost, or its worker does not record runs."
)
REASONS = {State.RUNNING: WORKER_SILENT, State.QUEUED: RETRY_NOT_STARTED}

logger = EventLogger(__name__)


@transaction.atomic
def reap(store: Store, now: datetime) -> bool:
    """Give up a batch of runs with an expired lease; return whether there may be more."""
    expired = Run.objects.filter(lease_until__lt=now, state__in=REASONS)
    runs = list(expired.select_for_update(skip_locked=store.can_skip)[:REAP_BATCH_SIZE])
    for run in runs:
        run.reason = REASONS[State(run.state)]
    if runs:
        logger.warning(
            LogEvent.RUNS_LOST,
            "The leases of %(count)d runs are over: no worker reports on them",
            count=len(runs),
            run_ids=[str(run.pk) for run in runs],
        )
        give_up(runs, at=now, state=State.LOST)
    return len(runs) == REAP_BATCH_SIZE


@transaction.atomic
def give_up_unreported(store: Store, now: datetime) -> None:
    """Give up a batch of queued runs that no worker has reported on in their maximum runtime."""
    managed = ManagedTask.objects.filter(pk=OuterRef("periodic_task_id"))
    own = Subquery(managed.values("max_runtime_seconds"), output_field=IntegerField())
    seconds = Coalesce(own, Value(MAX_RUNTIME_SECONDS))
    timeout = ExpressionWrapper(seconds * Value(ONE_SECOND), output_field=DurationField())
    until = ExpressionWrapper(F("queued_at") + timeout, output_field=DateTimeField())
    # By the index of active runs, the oldest first.
    unreported = Run.objects.filter(ended_as=None, state=State.QUEUED, lease_until=None)
    unreported = unreported.filter(created_at__lt=now - LEASE).annotate(until=until)
    ids = list(unreported.filter(until__lt=now).values_list("pk", flat=True)[:REAP_BATCH_SIZE])
    silent = Run.objects.filter(pk__in=ids, state=State.QUEUED, lease_until=None)
    runs = list(silent.select_for_update(skip_locked=store.can_skip))
    for run in runs:
        run.reason = NOT_REPORTED
    give_up(runs, at=now, state=State.LOST)
