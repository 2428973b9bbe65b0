"""Plan: find the next slot of each new or changed periodic task."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django_celery_beat.models import PeriodicTask

from scheduler_api.backoff import backoff
from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.jitter import due_at
from scheduler_api.periodic_tasks.models import managed_settings
from scheduler_api.periodic_tasks.run_ids import run_id
from scheduler_api.periodic_tasks.slot_cursor import SlotCursor, slot_cursor_of
from scheduler_api.periodic_tasks.slots import first_slot, is_done
from scheduler_api.periodic_tasks.task_schedule import (
    DISABLED_DIGEST,
    schedule_from,
    timing_digest,
)
from scheduler_api.runs.creation import definition_of, new_missed_run
from scheduler_api.runs.models import Run
from scheduler_api.scheduler.store import Store
from scheduler_api.scheduler.store_values import Quarantine
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.slots import next_slot
from scheduler_api.schedules.tables import KINDS

FIRST_BACKOFF = timedelta(seconds=30)
LONGEST_BACKOFF = timedelta(hours=1)
MAX_ERROR_LENGTH = 1000

logger = EventLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """The number of planned tasks, and whether one of them is due already."""

    count: int
    is_due: bool


def plan(store: Store, now: datetime, *, ids: Sequence[int] | None = None, limit: int) -> Planned:
    """Find the next slot of new and changed tasks; if `ids` is given, of these only.

    A task that cannot be planned is quarantined and does not delay the others.
    """
    missed: list[Run] = []
    planned: list[Agenda] = []
    failed: list[Quarantine] = []
    with transaction.atomic():
        agenda_entries = store.lock_stale(ids=ids, limit=limit)
        tasks = PeriodicTask.objects.select_related(*KINDS, "managed").in_bulk(
            [agenda_entry.pk for agenda_entry in agenda_entries]
        )
        for agenda_entry in agenda_entries:
            task = tasks.get(agenda_entry.pk)
            if task is None:  # deleted while the triggers were not installed
                Agenda.objects.filter(pk=agenda_entry.pk).delete()
                continue
            task.agenda = agenda_entry
            try:
                missed += missed_by(task, now=now)
                plan_one(task)
            except Exception as error:  # noqa: BLE001 - a bad row must not stop the others
                failed.append(quarantine_of(task.pk, agenda_entry.failures, error, now=now))
            else:
                planned.append(agenda_entry)
        store.write_plans(planned)
        store.quarantine(failed)
        store.add_others(missed)
    is_due = any(agenda_entry.due_at and agenda_entry.due_at <= now for agenda_entry in planned)
    return Planned(count=len(agenda_entries), is_due=is_due)


def plan_one(task: PeriodicTask) -> None:
    """Set the next slot on the task's agenda entry, without saving; raise InvalidSchedule."""
    agenda_entry: Agenda = task.agenda
    digest = timing_digest(task)
    if digest == DISABLED_DIGEST:
        agenda_entry.slot_at = agenda_entry.due_at = None
        agenda_entry.slots_after_at = agenda_entry.stale_at
    else:
        cursor = slot_cursor_of(task)
        agenda_entry.slot_at = slot_at = first_slot(task, cursor)
        if slot_at is None:
            refuse_never_due(task, cursor)
        jitter = managed_settings(task).jitter_seconds
        agenda_entry.due_at = slot_at and due_at(task.pk, slot_at, jitter)
        agenda_entry.anchor_at = cursor.anchor_at
        agenda_entry.slots_after_at = cursor.slots_after_at
    agenda_entry.timing_digest = digest
    agenda_entry.failures, agenda_entry.last_error = 0, ""


def refuse_never_due(task: PeriodicTask, cursor: SlotCursor) -> None:
    """Raise InvalidSchedule if the schedule has no slot at all.

    A task that has run its last slot is not refused.
    """
    if is_done(task) or task.clocked:
        return
    schedule = schedule_from(task, cursor.anchor_at)
    if next_slot(schedule, cursor.after) is None:
        raise InvalidSchedule(
            "This schedule has no slot in the future, so it would never run.",
            field="schedule",
            code="never_due",
        )


def missed_by(task: PeriodicTask, *, now: datetime) -> list[Run]:
    """Return a missed run if a slot was due, but not resolved, when its task was disabled."""
    agenda_entry: Agenda = task.agenda
    slot_at, stale_at = agenda_entry.slot_at, agenda_entry.stale_at
    if task.enabled or not slot_at or not stale_at or slot_at > stale_at:
        return []
    agenda_entry.missed_count += 1
    agenda_entry.resolved_through_at = slot_at
    return [
        new_missed_run(
            definition_of(task),
            pk=run_id(task.pk, slot_at),
            first_slot_at=slot_at,
            due_at=slot_at,
            now=now,
            reason="The periodic task was disabled before its slot was sent.",
        )
    ]


def quarantine_of(
    task_id: int,
    failures: int,
    error: object,
    *,
    now: datetime,
    first: timedelta = FIRST_BACKOFF,
    longest: timedelta = LONGEST_BACKOFF,
) -> Quarantine:
    """Log that a task could not be planned or sent; return its quarantine with the next try."""
    wait = backoff(failures + 1, first=first, longest=longest)
    why = " ".join(str(error).split()) or type(error).__name__
    logger.warning(
        LogEvent.PERIODIC_TASK_QUARANTINED,
        "Periodic task %(periodic_task_id)s is quarantined for %(retry_in_seconds)g s: %(reason)s",
        periodic_task_id=task_id,
        retry_in_seconds=wait.total_seconds(),
        failures=failures + 1,
        reason=why,
    )
    return Quarantine(
        task_id=task_id,
        failures=failures + 1,
        last_error=why[:MAX_ERROR_LENGTH],
        retry_at=now + wait,
    )
