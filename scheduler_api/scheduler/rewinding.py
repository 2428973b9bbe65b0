"""Rewind the agenda after the clock was set back."""

from datetime import datetime

from django.db import transaction
from django.db.models import (
    DateTimeField,
    ExpressionWrapper,
    F,
    Min,
    OuterRef,
    Q,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Least

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.runs.models import Run
from scheduler_api.schedules.slots import ONE_MICROSECOND


@transaction.atomic
def rewind(now: datetime) -> None:
    """Make all slots after `now` due again.

    Missed runs that were created after `now` by the other clock are deleted: their slots may be
    sent now.
    """
    missed = Run.objects.filter(ended_as=Run.State.MISSED, created_at__gt=now)
    of_task = missed.filter(periodic_task_id=OuterRef("pk")).order_by()
    totals = of_task.values("periodic_task_id").annotate(
        first=Min("slot_at"), slots=Sum("slot_count")
    )
    Agenda.objects.filter(pk__in=missed.values("periodic_task_id")).update(
        resolved_through_at=ExpressionWrapper(
            Subquery(totals.values("first")) - ONE_MICROSECOND, output_field=DateTimeField()
        ),
        missed_count=F("missed_count") - Subquery(totals.values("slots")),
        slot_at=None,
        due_at=None,
        stale=True,
    )
    missed.delete()
    later = Q(resolved_through_at__gt=now) | Q(slots_after_at__gt=now)
    Agenda.objects.filter(later).update(
        slot_at=None,
        due_at=None,
        resolved_through_at=Least("resolved_through_at", Value(now)),
        slots_after_at=Least("slots_after_at", Value(now)),
        stale=True,
    )
