"""The limits of an account on a periodic task: its tasks, its queues and its minimum interval.

Every operation that changes when, what or where a periodic task runs asks `beyond_limits`:
writes of periodic tasks, writes of a schedule that they follow, the end of a pause, and requests
for runs. An operation that does not ask it lets an account evade its limits in two steps.
"""

from collections.abc import Collection, Iterator
from typing import Any

from django.db.models import Q
from django_celery_beat.models import PeriodicTask

from scheduler_api.access.models import ServiceAccount
from scheduler_api.access.permissions import may_name_queue, may_name_task
from scheduler_api.catalogue.routes import route_of
from scheduler_api.http.problems import Mistake, ValidationFailed, join
from scheduler_api.schedules.spacing import spacing_errors

# The fields of a periodic task for people: every other field changes when, what or where it runs.
DESCRIPTIVE_FIELDS = {"name", "description", "labels"}
# Selects the periodic tasks that run by their schedule, now or after a pause.
RUNS_BY_SCHEDULE = Q(enabled=True) | Q(
    managed__paused_at__isnull=False, managed__enabled_on_resume=True
)


def beyond_limits(
    task: PeriodicTask, account: ServiceAccount, *, schedule: Any = None
) -> Iterator[Mistake]:
    """Yield a mistake for each limit of an account that a periodic task exceeds.

    `schedule` is the row of its schedule; None if the operation causes no slots.
    """
    yield from beyond_tasks_and_queues(task, account)
    yield from spacing_errors(schedule, account, pointer="/schedule")


def beyond_tasks_and_queues(task: PeriodicTask, account: ServiceAccount) -> Iterator[Mistake]:
    """Yield a mistake for a task or a queue that the account may not use.

    A custom route can lead to any queue, so only accounts that may use all queues may send one.
    """
    if not may_name_task(account, task.task):
        yield Mistake(
            pointer="/task",
            code="not_allowed",
            detail=f"This account may only use tasks named {', '.join(account.task_patterns)}.",
        )
    # Where Celery's configuration sends it; an unknown route may lead to any queue.
    if not may_name_queue(account, task.queue or route_of(task.task).queue or ""):
        yield Mistake(
            pointer="/queue",
            code="not_allowed",
            detail=f"This account may only use the queues {', '.join(account.queues)}.",
        )
    for field in ("exchange", "routing_key"):
        if account.queues and getattr(task, field) is not None:
            yield Mistake(
                pointer=join("", field),
                code="not_allowed",
                detail=f"Send queue instead; this account may use {', '.join(account.queues)}.",
            )


def changes_runs(changed: Collection[str], *, is_enabled: bool) -> bool:
    """Return whether a change of these fields may change runs; to disable a task only stops it."""
    harmless = DESCRIPTIVE_FIELDS if is_enabled else DESCRIPTIVE_FIELDS | {"enabled"}
    return not harmless.issuperset(changed)


def refuse_beyond_limits(
    task: PeriodicTask, account: ServiceAccount, *, schedule: Any = None
) -> None:
    """Raise ValidationFailed if a stored periodic task exceeds a limit of an account."""
    refuse(beyond_limits(task, account, schedule=schedule))


def refuse_followers_beyond_limits(schedule: Any, account: ServiceAccount) -> None:
    """Raise ValidationFailed if a periodic task that follows a schedule exceeds a limit.

    `schedule` has its new values. A disabled task does not count: it is asked when it is enabled.
    """
    if not (account.task_patterns or account.queues or account.min_interval_seconds):
        return
    followers = schedule.periodictask_set.filter(RUNS_BY_SCHEDULE).order_by()
    for columns in followers.values("task", "queue", "exchange", "routing_key").distinct():
        refuse(beyond_limits(PeriodicTask(**columns), account, schedule=schedule))


def refuse(mistakes: Iterator[Mistake]) -> None:
    """Raise ValidationFailed with these mistakes; the request has no field for any of them."""
    if found := [
        Mistake(pointer="", code=mistake.code, detail=mistake.detail) for mistake in mistakes
    ]:
        raise ValidationFailed(errors=found)
