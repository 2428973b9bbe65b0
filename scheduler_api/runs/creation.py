"""Create the row of a run: the only place that builds a `Run`.

A row is created in one of `transitions.INITIAL_STATES`. The statement by which beat creates many
rows on PostgreSQL is INSERT_SCHEDULED, in `runs.transition_sql`: it writes what `new_run` does.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django_celery_beat.models import PeriodicTask

from scheduler_api.periodic_tasks.models import managed_settings
from scheduler_api.runs.message_options import expiry_of
from scheduler_api.runs.models import Run
from scheduler_api.runs.transitions import INITIAL_STATES


class Definition(NamedTuple):
    """The columns that a run copies, so that a later change of its task does not reach it."""

    periodic_task_id: int | None
    periodic_task_name: str
    owner_id: int | None
    task: str
    args: str | None = None
    kwargs: str | None = None


def definition_of(
    task: PeriodicTask, *, args: str | None = None, kwargs: str | None = None
) -> Definition:
    """Return what a run copies from a periodic task; `args` and `kwargs` replace its own."""
    return Definition(
        periodic_task_id=task.pk,
        periodic_task_name=task.name,
        owner_id=managed_settings(task).owner_id,
        task=task.task,
        args=task.args if args is None else args,
        kwargs=task.kwargs if kwargs is None else kwargs,
    )


def new_run(
    definition: Definition,
    *,
    pk: str | UUID,
    trigger: str = Run.Trigger.SCHEDULE,
    slot_at: datetime | None,
    due_at: datetime,
    now: datetime,
    options: str = "{}",
    state: str = Run.State.PENDING,
    is_buffered: bool = False,
    reason: str = "",
    slot_count: int = 1,
    last_slot_at: datetime | None = None,
) -> Run:
    """Return the row of a new run, not stored yet.

    Empty arguments become JSON: to a worker, an empty column means none.

    Raises:
        ValueError: no run begins in this state.

    """
    if state not in INITIAL_STATES:
        raise ValueError(f"No run is created in the state {state!s}.")
    return Run(
        id=pk,
        periodic_task_id=definition.periodic_task_id,
        periodic_task_name=definition.periodic_task_name,
        owner_id=definition.owner_id,
        task=definition.task,
        trigger=trigger,
        slot_at=slot_at,
        due_at=due_at,
        slot_count=slot_count,
        last_slot_at=last_slot_at,
        state=state,
        is_buffered=is_buffered,
        reason=reason,
        created_at=now,
        args=definition.args or "[]",
        kwargs=definition.kwargs or "{}",
        options=options,
        expires_at=expiry_of(options),
    )


def new_missed_run(
    definition: Definition,
    *,
    pk: str | UUID,
    first_slot_at: datetime,
    last_slot_at: datetime | None = None,
    slot_count: int = 1,
    due_at: datetime,
    now: datetime,
    reason: str,
) -> Run:
    """Return the row for slots in a row that were missed; nothing is sent, so it has no arguments.

    `last_slot_at` stays empty for one slot.
    """
    return new_run(
        definition._replace(args=None, kwargs=None),
        pk=pk,
        slot_at=first_slot_at,
        last_slot_at=last_slot_at if slot_count > 1 else None,
        slot_count=slot_count,
        due_at=due_at,
        now=now,
        state=Run.State.MISSED,
        reason=reason,
    )
