"""Consistency check of the agenda and its triggers, with repair."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connections
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django_celery_beat.models import PeriodicTask

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.task_schedule import timing_digest
from scheduler_api.periodic_tasks.triggers.installation import (
    TriggerFaults,
    add_missing_rows,
    delete_orphaned_rows,
    faults_of,
    install,
    wake_beat,
)

CHUNK = 2_000


@dataclass(frozen=True, kw_only=True)
class Report:
    """The findings: faults of the triggers, and counts of periodic tasks and rows."""

    triggers: TriggerFaults
    without_row: int
    without_task: int
    outdated: int

    def sentences(self) -> Iterator[str]:
        """Yield a sentence for each kind of fault."""
        if self.triggers.missing:
            yield f"Missing: {', '.join(self.triggers.missing)}."
        if self.triggers.different:
            yield f"Changed or disabled: {', '.join(self.triggers.different)}."
        if self.without_row:
            yield f"Periodic tasks without an agenda row: {self.without_row}."
        if self.without_task:
            yield f"Agenda rows without a periodic task: {self.without_task}."
        if self.outdated:
            yield f"Agenda rows planned from an outdated schedule: {self.outdated}."


def check_agenda(*, repair: bool = False, using: str = "default") -> Report:
    """Compare the agenda with the definitions; with `repair`, fix each fault.

    It may run beside beat and all writers: it reads 2,000 tasks at a time and marks outdated rows
    stale, which beat then plans again. If triggers are missing, they are installed and every task
    is marked stale, because writes without triggers leave no trace.
    """
    connection = connections[using]
    report = Report(
        triggers=faults_of(connection),
        without_row=PeriodicTask.objects.using(using).filter(agenda__isnull=True).count(),
        without_task=Agenda.objects.using(using).filter(~Exists(_TASK_OF_ROW)).count(),
        outdated=sum(_mark(pks, using, mark=repair) for pks in _outdated(using)),
    )
    if repair:
        if report.triggers:
            install(connection)
        if report.without_row:
            add_missing_rows(connection)
        if report.without_task:
            delete_orphaned_rows(connection)
        wake_beat(connection)
    return report


_TASK_OF_ROW = PeriodicTask.objects.filter(pk=OuterRef("pk"))


def _outdated(using: str) -> Iterator[list[int]]:
    """Yield the ids of tasks that beat planned from an outdated definition, in chunks.

    One statement reads a task and its row, so that both are from the same moment.
    """
    every = PeriodicTask.objects.using(using).order_by("pk").values_list("pk", flat=True)
    planned = (
        PeriodicTask.objects.using(using)
        .filter(enabled=True, agenda__stale=False)
        .select_related("interval", "crontab", "solar", "clocked", "managed", "agenda")
    )
    latest = 0
    while pks := list(every.filter(pk__gt=latest)[:CHUNK]):
        # Limit both tables by a range: otherwise PostgreSQL reads one of them whole each time.
        here = {"pk__gte": pks[0], "pk__lte": pks[-1]}
        tasks = planned.filter(**here, **{f"agenda__{bound}": pk for bound, pk in here.items()})
        yield [task.pk for task in tasks if task.agenda.timing_digest != timing_digest(task)]
        latest = pks[-1]


def _mark(pks: list[int], using: str, *, mark: bool) -> int:
    if mark and pks:
        rows = Agenda.objects.using(using).filter(pk__in=pks)
        rows.update(stale=True, stale_at=Now())
    return len(pks)
