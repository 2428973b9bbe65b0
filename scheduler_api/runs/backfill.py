"""Backfill: runs of past slots that have none.

A backfilled run has the id of its slot, so that the database refuses a second run of the slot. If
a row records the slot as missed, that id is taken: the run has a second id, derived in the same
way. Slots that beat has yet to handle are left to beat.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_celery_beat.models import PeriodicTask

from scheduler_api.access.audit import Caller, Operation, record_entry
from scheduler_api.http.fields import in_utc
from scheduler_api.http.problems import Mistake, ValidationFailed
from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.jitter import due_at
from scheduler_api.periodic_tasks.models import managed_settings
from scheduler_api.periodic_tasks.run_ids import run_id
from scheduler_api.periodic_tasks.slots import next_run_at, schedule_of_task, slot_after
from scheduler_api.runs import message_options
from scheduler_api.runs.actions import NotSendable, refuse_unsendable
from scheduler_api.runs.creation import definition_of, new_run
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import wake_beat
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.kinds import Interval, Schedule
from scheduler_api.schedules.slots import ONE_MICROSECOND
from scheduler_api.schedules.tables import KINDS

# Suffix of the id for a slot with a row that records it as missed.
OF_A_MISSED_SLOT = b":backfill"
WAITS = "Waiting for its turn: runs of current slots go first."
ADDED_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Backfill:
    """The result of a backfill: its runs, and the slots left out."""

    runs: Sequence[Run]
    in_ledger: int
    left_to_beat: int


def locked(tasks: QuerySet[Any], pk: object) -> PeriodicTask:
    """Return a periodic task, locked against beat and callers until the transaction ends.

    Raise Http404 without one. Its row is locked before its agenda entry, as by every writer.
    """
    get_object_or_404(tasks.select_for_update(of=("self",), no_key=True), pk=pk)
    Agenda.objects.select_for_update(no_key=True).filter(pk=pk).first()
    related = PeriodicTask.objects.select_related(*KINDS, "managed", "agenda")
    return get_object_or_404(related, pk=pk)


@transaction.atomic
def backfill(
    task: PeriodicTask, *, start: datetime, end: datetime, now: datetime, by: Caller
) -> Backfill:
    """Create a run for each slot in [start, end) that has none in the ledger.

    The periodic task is locked. Beat sends the runs a few at a time, oldest slot first.
    """
    refuse_unsendable(task, args=task.args, kwargs=task.kwargs)
    try:
        slots = slots_between(task, start=start, end=end, most=settings.MAX_BACKFILL)
    except InvalidSchedule as error:
        raise NotSendable(str(error)) from error
    if len(slots) > settings.MAX_BACKFILL:
        raise ValidationFailed(errors=[too_many(slots[-1])])
    waits_for = next_run_at(task)
    passed = [slot for slot in slots if waits_for is None or slot < waits_for]
    runs = [backfilled_run(task, pk, slot_at, now=now) for pk, slot_at in free_of(task.pk, passed)]
    Run.objects.bulk_create(runs, batch_size=ADDED_AT_ONCE)
    if runs:
        details = {"from": start, "until": end, "count": len(runs)}
        record_entry(Operation.BACKFILL, task, by=by, after=details)
        wake_beat()
    return Backfill(
        runs=runs,
        in_ledger=len(passed) - len(runs),
        left_to_beat=len(slots) - len(passed),
    )


def too_many(next_slot: datetime) -> Mistake:
    """Return the refusal of a range with more than MAX_BACKFILL slots."""
    most = settings.MAX_BACKFILL
    return Mistake(
        pointer="/until",
        code="too_many_slots",
        detail=f"This range has more than {most:,} slots: split it. "
        f"Until {in_utc(next_slot)} it has {most:,}.",
    )


def slots_between(
    task: PeriodicTask, *, start: datetime, end: datetime, most: int
) -> list[datetime]:
    """Return the slots in [start, end) by the current definition, those before its creation too.

    At most one more than `most`. Raise InvalidSchedule.
    """
    schedule = back_to(start, schedule_of_task(task))
    slots: list[datetime] = []
    after = start - ONE_MICROSECOND
    while slot := slot_after(schedule, after, start_time=task.start_time, expires=task.expires):
        if slot >= end:
            break
        slots.append(slot)
        if len(slots) > most or task.one_off:
            break
        after = slot
    return slots


def back_to(start: datetime, schedule: Schedule) -> Schedule:
    """Return a schedule that has slots from `start` on: an interval begins only at its anchor."""
    if not isinstance(schedule, Interval) or schedule.anchor < start:
        return schedule
    lengths = (schedule.anchor - start) // schedule.every + 1
    return Interval(every=schedule.every, anchor=schedule.anchor - lengths * schedule.every)


def free_of(task_id: int, slots: Sequence[datetime]) -> list[tuple[str, datetime]]:
    """Return the slots without a run, each with the id of its new run.

    A row that records a missed slot is not a run. It may stand for several slots in a row: the
    later ones have no rows, so their ids are free.
    """
    ids = [
        (run_id(task_id, slot), run_id(task_id, slot, suffix=OF_A_MISSED_SLOT)) for slot in slots
    ]
    rows = Run.objects.filter(pk__in=[pk for both in ids for pk in both])
    states = {str(pk): state for pk, state in rows.values_list("pk", "state")}
    free = []
    for slot, (own, second) in zip(slots, ids, strict=True):
        if second in states:
            continue
        if own not in states:
            free.append((own, slot))
        elif states[own] == Run.State.MISSED:
            free.append((second, slot))
    return free


def backfilled_run(task: PeriodicTask, pk: str, slot_at: datetime, *, now: datetime) -> Run:
    """Return the run of a slot, not stored yet.

    Its message does not expire, because the time of its turn is unknown.
    """
    jitter_seconds = managed_settings(task).jitter_seconds
    return new_run(
        definition_of(task),
        pk=pk,
        trigger=Run.Trigger.BACKFILL,
        slot_at=slot_at,
        due_at=due_at(task.pk, slot_at, jitter_seconds),
        now=now,
        options=message_options.options_of(
            task.queue, task.exchange, task.routing_key, task.priority, task.headers, None
        ),
        is_buffered=True,
        reason=WAITS,
    )
