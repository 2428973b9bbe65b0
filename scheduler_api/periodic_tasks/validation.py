"""Validation of a periodic task: rules beyond the JSON type of each field."""

import json
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from functools import partial

from django.conf import settings
from django_celery_beat.models import PeriodicTask
from kombu.utils.json import loads

from scheduler_api.access.models import ServiceAccount
from scheduler_api.access.permissions import may_name_queue, may_name_task
from scheduler_api.access.redaction import passes_secret
from scheduler_api.catalogue.arguments import check_arguments
from scheduler_api.catalogue.registry import is_registered
from scheduler_api.catalogue.task_lookup import find_task, known_names, unknown_task
from scheduler_api.http.fields import in_utc, read_json
from scheduler_api.http.problems import Mistake, join
from scheduler_api.http.serializers import unknown
from scheduler_api.outbound import http_request
from scheduler_api.periodic_tasks.message_headers import wrong_headers
from scheduler_api.periodic_tasks.slots import slots
from scheduler_api.periodic_tasks.task_schedule import schedule_row
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.limits import beyond_limits, changes_runs

MAX_ARGUMENT_BYTES = 64 * 1024
MAX_SHORTSTR_BYTES = 255


def mistakes_in(
    task: PeriodicTask, changed: Collection[str], *, by: ServiceAccount
) -> Iterator[Mistake]:
    """Yield all mistakes in a periodic task that an account is about to store.

    Rules about unchanged fields are not checked again: a value that others wrote, or that has
    become invalid since, must not block an unrelated change.
    """
    # django-celery-beat checks these two at each save, and raises an exception.
    yield from wrong_repetition(task)
    yield from wrong_expiry(task)
    rules: dict[Callable[[PeriodicTask], Iterator[Mistake]], set[str]] = {
        wrong_timing: {"schedule", "start_time", "expires", "enabled"},
        partial(wrong_arguments, by=by): {"task", "args", "kwargs"},
        wrong_headers: {"headers"},
        partial(wrong_routing, by=by): {"queue", "exchange", "routing_key"},
    }
    for rule, fields in rules.items():
        if fields & set(changed):
            yield from rule(task)
    if changes_runs(changed, is_enabled=task.enabled):
        yield from beyond_limits(task, by, schedule=schedule_row(task) if task.enabled else None)


def wrong_repetition(task: PeriodicTask) -> Iterator[Mistake]:
    """Refuse a clocked schedule that is not one-off."""
    if task.clocked and not task.one_off:
        yield Mistake(
            pointer="/one_off",
            code="not_one_off",
            detail="A clocked schedule has one slot: omit one_off, or send true.",
        )


def wrong_timing(task: PeriodicTask) -> Iterator[Mistake]:
    """Refuse a task that would never run. A missing schedule is already refused elsewhere."""
    if not task.enabled or schedule_row(task) is None:
        return
    try:
        first = next(slots(task, after=datetime.now(UTC)), None)
    except InvalidSchedule as error:
        yield Mistake(pointer="/schedule", code=error.code, detail=str(error))
        return
    if first is None and task.clocked and task.clocked.clocked_time <= datetime.now(UTC):
        yield Mistake(
            pointer="/schedule",
            code="never_due",
            detail=f"Its moment, {in_utc(task.clocked.clocked_time)}, has passed, so it would not "
            "run: choose a later clocked_time, send enabled: false, or run it now.",
        )
    elif first is None:
        yield Mistake(
            pointer="/expires" if task.expires else "/schedule",
            code="never_due",
            detail="The schedule has no slot between now, or start_time, and expires.",
        )


def wrong_expiry(task: PeriodicTask) -> Iterator[Mistake]:
    """Refuse two kinds of expiry at once, which django-celery-beat cannot store."""
    if task.expires and task.expire_seconds is not None:
        yield Mistake(
            pointer="/expire_seconds",
            code="ambiguous",
            detail=(
                "expires ends the schedule, and expire_seconds ends the life of each message; "
                "django-celery-beat accepts only one of them: send null for the other."
            ),
        )


def wrong_arguments(task: PeriodicTask, *, by: ServiceAccount | None = None) -> Iterator[Mistake]:
    """Refuse arguments with which the task cannot be called.

    The refusal of an unknown task suggests tasks that the account `by` may use.
    """
    args, kwargs = read_json(task.args, list), read_json(task.kwargs, dict)
    if args is None or kwargs is None:
        yield Mistake(
            pointer="/args" if args is None else "/kwargs",
            code="unreadable",
            detail="The stored value is not valid JSON of this type: send a new value, too.",
        )
        return
    if len(task.args) + len(task.kwargs) > MAX_ARGUMENT_BYTES:
        yield Mistake(
            pointer="/kwargs",
            code="too_large",
            detail=f"args and kwargs together take at most {MAX_ARGUMENT_BYTES} bytes as JSON; "
            "store the data elsewhere and send its address.",
        )
        return
    for field, value in (("args", args), ("kwargs", kwargs)):
        if has_type_tags(value):
            yield Mistake(
                pointer=join("", field),
                code="reserved_object",
                detail='Celery reserves {"__type__": …, "__value__": …} for types of its own.',
            )
    known = find_task(task.task)
    if known is None:
        if settings.UNREGISTERED_TASKS != "allow" or is_registered(task.task):
            names = [name for name in known_names() if by is None or may_name_task(by, name)]
            detail = unknown_task(task.task, known=names)
            yield Mistake(pointer="/task", code="unregistered_task", detail=detail)
        return
    is_fitting = True
    for error in check_arguments(known.signature, args, kwargs):
        is_public = error.code != "invalid_argument" or not passes_secret(error.pointer)
        detail = error.detail if is_public else "does not fit the signature; the value is secret"
        yield Mistake(pointer=error.pointer, code=error.code, detail=detail)
        is_fitting = False
    if is_fitting and task.task == http_request.TASK:
        yield from http_request.mistakes_in_call(args, kwargs)


def has_type_tags(value: object) -> bool:
    """Return whether Celery's JSON decoder would turn a value into another type."""
    text = json.dumps(value)
    try:
        return bool(loads(text) != value)
    except Exception:  # noqa: BLE001 - the decoder of a type may raise anything on a bad value
        return True


def wrong_routing(task: PeriodicTask, *, by: ServiceAccount | None = None) -> Iterator[Mistake]:
    """Refuse a route that leads to no worker.

    The refusal of an unknown queue suggests queues that the account `by` may use.
    """
    queues = [name for name in settings.QUEUES if by is None or may_name_queue(by, name)]
    if task.queue is not None and task.queue not in settings.QUEUES:
        yield Mistake(
            pointer="/queue",
            code="unknown_queue",
            detail=f"{unknown('queue', task.queue, queues)} The setting QUEUES lists them.",
        )
    for field in ("exchange", "routing_key"):
        value = getattr(task, field)
        if value is None:
            continue
        if not settings.ALLOW_CUSTOM_ROUTING:
            yield Mistake(
                pointer=join("", field),
                code="not_allowed",
                detail="Send queue instead; the setting ALLOW_CUSTOM_ROUTING enables this field.",
            )
        elif len(value.encode()) > MAX_SHORTSTR_BYTES:
            yield Mistake(
                pointer=join("", field),
                code="too_large",
                detail=f"Must be at most {MAX_SHORTSTR_BYTES} bytes of UTF-8, the limit of AMQP.",
            )
