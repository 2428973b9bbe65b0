"""Quarantine tasks whose messages were refused after the claim, by Celery or by the broker.

The claim finds all that a row alone decides. What is left needs the message itself (a router of
the project or a receiver of a signal that fails) or the broker (no queue is bound, the exchange
does not exist). Its run is the record of its slot and ends `unroutable`; later slots wait.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Case, F, OuterRef, Subquery, Value, When
from django.db.models.functions import Coalesce, Greatest
from django_celery_beat.models import PeriodicTask

from scheduler_api.broker.outgoing import BatchResult, PublishFailure
from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.runs.models import Run
from scheduler_api.scheduler.planning import LONGEST_BACKOFF, quarantine_of
from scheduler_api.scheduler.store import Store

# A queue or a binding may be back soon, and only a message shows that it is.
FIRST_BACKOFF = timedelta(seconds=1)
BACKOFF_LIMITS = {
    PublishFailure.UNROUTABLE: timedelta(minutes=1),
    PublishFailure.REFUSED: LONGEST_BACKOFF,
}
MAX_RUNS = 200  # per tick


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A message that was refused, and the failures in a row of its task before it."""

    failure: PublishFailure
    reason: str
    failures: int


@dataclass(kw_only=True)
class Refusals:
    """The refusals of one beat whose tasks are not in quarantine yet.

    They are written after the result of their batch, since a task may be locked by a writer, and
    the ledger need not wait. A crash in between costs the next slot of the task as well.
    """

    # The failures in a row of tasks that are tried again, by the run that was claimed.
    retried: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, Refusal] = field(default_factory=dict)

    def add(self, result: BatchResult, ended: Iterable[str]) -> None:
        """Add the refused runs of a batch that have `ended` because of it."""
        for pk in ended:
            failure, reason = result.failed[pk]
            self.waiting[pk] = Refusal(
                failure=failure, reason=reason, failures=self.retried.get(pk, 0)
            )
        if self.retried:
            for pk in (*result.confirmed, *ended):
                self.retried.pop(pk, None)

    def write(self, store: Store, now: datetime) -> None:
        """Quarantine the tasks of some of the runs; leave locked tasks for later."""
        some = dict(list(self.waiting.items())[:MAX_RUNS])
        for pk in some and quarantine_refused(store, some, now):
            del self.waiting[pk]


@transaction.atomic
def quarantine_refused(store: Store, refusals: Mapping[str, Refusal], now: datetime) -> set[str]:
    """Quarantine the tasks of refused runs, and do not count the runs as sent.

    Return the runs that are done with: those of locked tasks are not. Runs that a caller requested
    say nothing about the slots of their task.
    """
    runs = Run.objects.filter(pk__in=refusals, trigger=Run.Trigger.SCHEDULE)
    of_task: dict[int, list[str]] = defaultdict(list)
    for run in runs.only("pk", "periodic_task_id"):
        assert run.periodic_task_id is not None  # every slot has a periodic task
        of_task[run.periodic_task_id].append(str(run.pk))
    rows = PeriodicTask.objects.filter(pk__in=of_task)
    tasks = {
        task.pk: task
        for task in rows.select_for_update(skip_locked=store.can_skip, no_key=True).order_by("pk")
    }
    entries = Agenda.objects.filter(pk__in=tasks).order_by("pk")
    agenda = {
        entry.pk: entry
        for entry in entries.select_for_update(skip_locked=store.can_skip, no_key=True)
    }
    left = {*rows.values_list("pk", flat=True)} - tasks.keys()
    left |= {*entries.values_list("pk", flat=True)} - agenda.keys()
    # The end of a one-off task has still to be planned: that would clear the error.
    left |= {pk for pk, entry in agenda.items() if entry.stale and is_over(tasks[pk])}
    for pk in sorted(agenda.keys() - left):
        refuse(store, tasks[pk], agenda[pk], [refusals[run] for run in of_task[pk]], now=now)
    return refusals.keys() - {run for pk in left for run in of_task[pk]}


def is_over(task: PeriodicTask) -> bool:
    """Return whether a claim has disabled a task after its only slot."""
    return bool(task.one_off) and not task.enabled


def refuse(
    store: Store, task: PeriodicTask, entry: Agenda, refusals: list[Refusal], *, now: datetime
) -> None:
    """Undo what the claim has counted, and quarantine the task unless it has changed since."""
    count = len(refusals)
    sent = Run.objects.filter(
        periodic_task_id=OuterRef("pk"), trigger=Run.Trigger.SCHEDULE, queued_at__isnull=False
    )
    was_sent_at = Subquery(sent.order_by("-created_at", "-pk").values("created_at")[:1])
    before = Case(When(total_run_count__lte=count, then=Value(None)), default=F("last_run_at"))
    PeriodicTask.objects.filter(pk=entry.pk).update(
        total_run_count=Greatest(F("total_run_count") - count, 0),
        last_run_at=Coalesce(was_sent_at, before),
    )
    if entry.stale or not (task.enabled or is_over(task)):
        return
    last = refusals[-1]
    quarantine = quarantine_of(
        entry.pk,
        max(refusal.failures for refusal in refusals),
        last.reason,
        now=now,
        first=FIRST_BACKOFF,
        longest=BACKOFF_LIMITS[last.failure],
    )
    if entry.due_at is None:  # it was the last slot
        Agenda.objects.filter(pk=entry.pk).update(last_error=quarantine.last_error)
    else:
        store.quarantine([replace(quarantine, retry_at=max(quarantine.retry_at, entry.due_at))])
