"""End runs that no worker reports on: mark them `lost` or `expired`, or retry them."""

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

from scheduler_api.catalogue.models import TaskSpec
from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.periodic_tasks.models import MAX_RUNTIME_SECONDS, ManagedTask
from scheduler_api.runs import transitions
from scheduler_api.runs.models import LEASE, Run
from scheduler_api.runs.retry_policy import give_up
from scheduler_api.scheduler.store import Store

State = Run.State

REAP_BATCH_SIZE = 200
ONE_SECOND = timedelta(seconds=1)
WORKER_SILENT = f"Its worker has not reported for {LEASE.total_seconds():.0f} seconds."
RETRY_NOT_STARTED = "Its next message was due, and no worker has started it."
NOT_REPORTED = (
    "No worker has reported on it within max_runtime_seconds: its message waits in a long queue "
    "or is lost, or its worker does not record runs."
)
EXPIRED = "No worker started it before its message expired."
EXPIRED_UNSENT = "The message expired before the broker accepted it."
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


@transaction.atomic
def expire(store: Store, now: datetime) -> bool:
    """End a batch of runs whose message has expired; return whether there may be more.

    The broker, or the worker that takes such a message, discards it, so it will never start; nor
    will a retry by Celery, which keeps the expiry. Left out are tasks with a `before_start` of
    their own, whose starts are not reported, and runs that a worker started without the database.
    """
    unreported = TaskSpec.objects.filter(is_recorded=False).values("name")
    overdue = Run.objects.filter(
        ~transitions.UNRECORDED_START,
        expires_at__lt=now,
        ended_as=None,
        state__in=transitions.EXPIRE_UNSTARTED.from_states,
    ).exclude(task__in=unreported)
    locked = overdue.select_for_update(of=("self",), skip_locked=store.can_skip)
    runs = list(locked.order_by("expires_at").values_list("pk", "queued_at")[:REAP_BATCH_SIZE])
    queued = [pk for pk, queued_at in runs if queued_at]
    unsent = [pk for pk, queued_at in runs if not queued_at]
    count = transitions.expire_unstarted(queued, at=now, reason=EXPIRED)
    count += transitions.expire_unstarted(unsent, at=now, reason=EXPIRED_UNSENT)
    if count:
        logger.warning(
            LogEvent.RUNS_EXPIRED,
            "The messages of %(count)d runs have expired: no worker has started them",
            count=count,
            run_ids=[str(pk) for pk, _ in runs],
        )
    return len(runs) == REAP_BATCH_SIZE
