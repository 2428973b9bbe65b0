"""What callers do with runs: ask for one, end one, have one again. Each in one transaction.

A run that is asked for goes into the ledger and the outbox: beat sends it, when the broker takes
it, and its id is known before.
"""

import json
from datetime import datetime
from uuid import uuid4

from django.db import transaction
from django_celery_beat.models import PeriodicTask

from scheduler_api.access.audit import Caller, Operation, record_entry
from scheduler_api.catalogue.task_lookup import announced_names
from scheduler_api.http.problems import Problem
from scheduler_api.runs import message_options, transitions
from scheduler_api.runs.creation import Definition, definition_of, new_run
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import put_out, wake_beat

State = Run.State
A_RUN = "/api/v1/runs/0b0f6a0e-6a5c-5d5e-9a3b-0d9f5b8f7c11/"
CANCELLED = "It was cancelled over the API before it started."
TO_BE_ENDED = "Its worker was asked over the API to end its process."
# What never had arguments: a stretch of slots.
WITHOUT_ARGUMENTS = {State.MISSED}


class NotSendable(Problem):
    """A message of this periodic task would not be sent."""

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
    """The run has not ended, or was never to run."""

    status_code = 409
    code = "cannot_retry"
    example = {
        "detail": "It is running: cancel it, or wait until it has ended.",
        "instance": f"{A_RUN}retry/",
    }


@transaction.atomic
def run_now(task: PeriodicTask, *, args: str, kwargs: str, now: datetime, by: Caller) -> Run:
    """Have a periodic task run once, whatever its schedule says, and whether it is enabled.

    `args` and `kwargs` are JSON that has been checked.
    """
    refuse_unsendable(task, args=args, kwargs=kwargs)
    run = new_run(
        definition_of(task, args=args, kwargs=kwargs),
        pk=uuid4(),
        trigger=Run.Trigger.MANUAL,
        slot_at=None,
        due_at=now,
        now=now,
        options=message_options.options_of_task(task, now=now),
    )
    run.save(force_insert=True)
    send(run, now=now)
    note_of(Operation.RUN, run, by=by, args=json.loads(args), kwargs=json.loads(kwargs))
    return run


def refuse_unsendable(task: PeriodicTask, *, args: str, kwargs: str) -> None:
    """Raise NotSendable for a message that beat would not send."""
    announced_names.invalidate()  # a worker may just have told of the task
    problem = message_options.problem_with(task, args=args, kwargs=kwargs)
    if problem:
        raise NotSendable(problem)


@transaction.atomic
def retry(run: Run, *, now: datetime, by: Caller) -> Run:
    """Have what a run was, again: a new run, with the same arguments and options."""
    if run.state in Run.ACTIVE:
        raise CannotRetry(f"It is {run.state}: cancel it, or wait until it has ended.")
    if run.state in WITHOUT_ARGUMENTS:
        raise CannotRetry("It stands for slots that were not served: run the task now instead.")
    options = json.loads(run.options)
    options.pop("expires", None)  # that of the other message
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
        options=json.dumps(options),
    )
    again.save(force_insert=True)
    send(again, now=now)
    note_of(Operation.RETRY, again, by=by, retry_of=str(run.pk))
    return again


def send(run: Run, *, now: datetime) -> None:
    """Have beat publish a run at once."""
    put_out([str(run.pk)], now=now, retry_at=now)
    wake_beat()


@transaction.atomic
def cancel(run: Run, *, now: datetime, by: Caller) -> None:
    """End a run before it starts; of one that runs, ask its worker to end its process."""
    if not (
        transitions.cancel(run.pk, at=now, reason=CANCELLED)
        or transitions.request_cancel(run.pk, reason=TO_BE_ENDED)
    ):
        run.refresh_from_db()
        raise HasEnded(f"It is {run.state}: there is nothing to cancel.")
    note_of(Operation.CANCEL, run, by=by)


def note_of(operation: Operation, run: Run, *, by: Caller, **told: object) -> None:
    """Leave an entry in the audit: of the periodic task, which may be deleted since."""
    task = PeriodicTask(pk=run.periodic_task_id, name=run.periodic_task_name)
    record_entry(operation, task, by=by, after={"run": str(run.pk), **told})
