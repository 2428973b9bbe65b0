"""End the runs of which no worker tells any more, and send again what may be."""

import logging
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

from scheduler_api.beat.store import Store
from scheduler_api.periodic_tasks.models import MAX_RUNTIME_SECONDS, ManagedTask
from scheduler_api.runs.ledger import LEASE, MAX_ATTEMPTS
from scheduler_api.runs.models import Run

State = Run.State

REAPED_AT_ONCE = 500
A_SECOND = timedelta(seconds=1)
GONE = f"Its worker has given no sign for {LEASE.total_seconds():.0f} seconds."
NOT_TRIED = "It was to be tried again, and no worker has told of it."
UNTOLD = (
    "No worker has told of it within max_runtime_seconds: it waits in a long queue, its message "
    "is gone, or its worker does not know the ledger."
)

logger = logging.getLogger(__name__)


@transaction.atomic
def reap(store: Store, now: datetime) -> bool:
    """End or send again some of the runs whose lease is over; return whether some are sent."""
    over = Run.objects.filter(lease_until__lt=now, state__in=(State.RUNNING, State.QUEUED))
    runs = list(over.select_for_update(skip_locked=store.can_skip)[:REAPED_AT_ONCE])
    again = [
        str(run.pk)
        for run in runs
        if run.state == State.RUNNING and run.is_redelivered and run.attempts < MAX_ATTEMPTS
    ]
    lost = [run.pk for run in runs if str(run.pk) not in again]
    for state, reason in ((State.RUNNING, GONE), (State.QUEUED, NOT_TRIED)):
        Run.objects.filter(pk__in=lost, state=state).update(
            state=State.LOST, reason=reason, finished_at=now, lease_until=None
        )
    if again:
        Run.objects.filter(pk__in=again).update(
            state=State.PENDING,
            started_at=None,
            queued_at=None,
            lease_until=None,
            is_redelivered=False,
            reason=GONE,
        )
        store.put_out(again, now=now, retry_at=now)
    if runs:
        logger.warning("Of %s runs no worker tells; %s are sent again", len(runs), len(again))
    return bool(again)


def give_up_untold(now: datetime) -> None:
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
    Run.objects.filter(pk__in=ids, state=State.QUEUED, lease_until=None).update(
        state=State.LOST, reason=UNTOLD, finished_at=now
    )
