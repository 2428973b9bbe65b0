"""End the runs of which no worker tells any more, or send them again."""

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

REAPED_AT_ONCE = 200
A_SECOND = timedelta(seconds=1)
GONE = f"Its worker has given no sign for {LEASE.total_seconds():.0f} seconds."
NOT_TRIED = "It was to be tried again, and no worker has told of it."
UNTOLD = (
    "No worker has told of it within max_runtime_seconds: it waits in a long queue, its message "
    "is gone, or its worker does not know the ledger."
)
REASONS = {State.RUNNING: GONE, State.QUEUED: NOT_TRIED}

logger = EventLogger(__name__)


@transaction.atomic
def reap(store: Store, now: datetime) -> bool:
    """End, or send again, some of the runs whose lease is over; tell whether there may be more."""
    over = Run.objects.filter(lease_until__lt=now, state__in=REASONS)
    runs = list(over.select_for_update(skip_locked=store.can_skip)[:REAPED_AT_ONCE])
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
    return len(runs) == REAPED_AT_ONCE


@transaction.atomic
def give_up_unreported(store: Store, now: datetime) -> None:
    """End some of the runs that were sent, and that no worker has told of."""
    half = ManagedTask.objects.filter(pk=OuterRef("periodic_task_id"))
    own = Subquery(half.values("max_runtime_seconds"), output_field=IntegerField())
    seconds = Coalesce(own, Value(MAX_RUNTIME_SECONDS))
    patience = ExpressionWrapper(seconds * Value(A_SECOND), output_field=DurationField())
    until = ExpressionWrapper(F("queued_at") + patience, output_field=DateTimeField())
    # By the index of those that have not ended, the oldest first.
    untold = Run.objects.filter(ended_as=None, state=State.QUEUED, lease_until=None)
    untold = untold.filter(created_at__lt=now - LEASE).annotate(until=until)
    ids = list(untold.filter(until__lt=now).values_list("pk", flat=True)[:REAPED_AT_ONCE])
    silent = Run.objects.filter(pk__in=ids, state=State.QUEUED, lease_until=None)
    runs = list(silent.select_for_update(skip_locked=store.can_skip))
    for run in runs:
        run.reason = UNTOLD
    give_up(runs, at=now, state=State.LOST)
