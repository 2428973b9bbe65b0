"""The actions of callers on runs: request, cancel and repeat. Each is one transaction.

A requested run goes into the ledger and the outbox, so the response has its id. Beat publishes it
as soon as the broker is available.
"""

import json
from datetime import datetime
from uuid import uuid4

from django.db import transaction
from django_celery_beat.models import PeriodicTask

from scheduler_api.access.audit import Caller, Operation, record_entry
from scheduler_api.catalogue.task_lookup import announced_names
from scheduler_api.http.problems import Problem
from scheduler_api.periodic_tasks.models import WRITTEN_BY_API, managed_settings
from scheduler_api.runs import message_options, transitions
from scheduler_api.runs.creation import Definition, definition_of, new_run
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import enqueue, wake_beat

State = Run.State
A_RUN = "/api/v1/runs/0b0f6a0e-6a5c-5d5e-9a3b-0d9f5b8f7c11/"
CANCELLED = "It was cancelled over the API before it started."
CANCEL_REQUESTED = "Its worker was asked over the API to end its process."
# States of runs that never had arguments.
WITHOUT_ARGUMENTS = {State.MISSED}


class NotSendable(Problem):
    """The periodic task cannot be sent."""

    status_code = 409
    code = "not_sendable"
    example = {
        "detail": "queue: There is no queue 'reports'; known: celery. The setting QUEUES lists "
        "them.",
        "instance": "/api/v1/periodic-tasks/1/runs/",
    }


class HasEnded(Problem):
    """The run has ended already."""

    status_code = 409
    code = "has_ended"
    example = {
        "detail": "It is succeeded: there is nothing to cancel.",
        "instance": f"{A_RUN}cancel/",
    }


class CannotRetry(Problem):
    """The run has not ended, or never had a message."""

    status_code = 409
    code = "cannot_retry"
    example = {
        "detail": "It is running: cancel it, or wait until it has ended.",
        "instance": f"{A_RUN}retry/",
    }


@transaction.atomic
def run_now(task: PeriodicTask, *, args: str, kwargs: str, now: datetime, by: Caller) -> Run:
    """Run a periodic task once, regardless of its schedule and of whether it is enabled.

    `args` and `kwargs` are validated JSON. The caller owns the run of a task that is not stored.
    """
    refuse_unsendable(task, args=args, kwargs=kwargs)
    definition = definition_of(task, args=args, kwargs=kwargs)
    if task.pk is None:
        definition = definition._replace(owner_id=by.account.pk)
    run = new_run(
        definition,
        pk=uuid4(),
        trigger=Run.Trigger.MANUAL,
        slot_at=None,
        due_at=now,
        now=now,
        options=message_options.options_of_task(task, now=now),
    )
    run.save(force_insert=True)
    send(run, now=now)
    audit_run(Operation.RUN, run, by=by, args=json.loads(args), kwargs=json.loads(kwargs))
    return run


def refuse_unsendable(task: PeriodicTask, *, args: str, kwargs: str) -> None:
    """Raise NotSendable for a message that beat would refuse to send."""
    announced_names.invalidate()  # a worker may just have announced the task
    is_adopted = managed_settings(task).managed_by not in WRITTEN_BY_API
    problem = message_options.problem_with(task, args=args, kwargs=kwargs, is_adopted=is_adopted)
    if problem:
        raise NotSendable(problem)


@transaction.atomic
def retry(run: Run, *, now: datetime, by: Caller) -> Run:
    """Create a new run with the arguments and options of one that has ended."""
    if run.state in Run.ACTIVE:
        raise CannotRetry(f"It is {run.state}: cancel it, or wait until it has ended.")
    if run.state in WITHOUT_ARGUMENTS:
        raise CannotRetry("It stands for missed slots: run the periodic task now instead.")
    expires_at = message_options.expiry_of_task(run.periodic_task_id, now=now)
    again = new_run(
        Definition(
            periodic_task_id=run.periodic_task_id,
            periodic_task_name=run.periodic_task_name,
            owner_id=run.owner_id,
            task=run.task,
            args=run.args,
            kwargs=run.kwargs,
        ),
        pk=uuid4(),
        trigger=Run.Trigger.RETRY,
        slot_at=run.slot_at,
        due_at=now,
        now=now,
        options=message_options.with_expiry(run.options, expires_at),
    )
    again.save(force_insert=True)
    send(again, now=now)
    audit_run(Operation.RETRY, again, by=by, retry_of=str(run.pk))
    return again


def send(run: Run, *, now: datetime) -> None:
    """Let beat publish a run at once."""
    enqueue([str(run.pk)], now=now, retry_at=now)
    wake_beat()


@transaction.atomic
def cancel(run: Run, *, now: datetime, by: Caller) -> None:
    """Cancel a run before it starts; ask the worker of a running one to end its process."""
    if not (
        transitions.cancel(run.pk, at=now, reason=CANCELLED)
        or transitions.request_cancel(run.pk, reason=CANCEL_REQUESTED)
    ):
        run.refresh_from_db()
        raise HasEnded(f"It is {run.state}: there is nothing to cancel.")
    audit_run(Operation.CANCEL, run, by=by)


def audit_run(operation: Operation, run: Run, *, by: Caller, **details: object) -> None:
    """Record an action in the audit: for the periodic task, even if it was deleted, or the run."""
    row: Run | PeriodicTask = run
    if run.periodic_task_id is not None:
        row = PeriodicTask(pk=run.periodic_task_id, name=run.periodic_task_name)
    record_entry(operation, row, by=by, after={"run": str(run.pk), **details})
