"""One entry of CELERY_BEAT_SCHEDULE: how it is stored, and its parts that no column can hold."""

import math
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from celery import schedules
from django_celery_beat.models import CrontabSchedule, IntervalSchedule
from django_celery_beat.schedulers import ModelEntry

from scheduler_api.schedules.crontab_fields import CrontabFields
from scheduler_api.schedules.tables import get_or_store

# The options of `apply_async` that a periodic task has columns for.
STORED_OPTIONS = frozenset(
    {"queue", "exchange", "routing_key", "priority", "headers", "expire_seconds", "expires"}
)
ONE_SECOND = timedelta(seconds=1)
# The column holds 2**31 - 1 microseconds.
LONGEST_FRACTION = timedelta(microseconds=2**31 - 1)


class SettingsEntry(ModelEntry):
    """The entry of a periodic task that the settings define.

    Overrides the two class methods of ModelEntry by which `from_entry` converts an entry, because
    they lose what Celery's own scheduler would obey.
    """

    @classmethod
    def to_model_schedule(cls, given: Any) -> tuple[Any, str]:
        """Store lists in a crontab as text, and an interval with its fraction of a second.

        Overrides ModelEntry.to_model_schedule, which stores `hour=[8, 20]` as the text "[8, 20]",
        which Celery cannot read, and rounds each interval down to whole seconds.
        """
        if not issubclass(type(given), schedules.BaseSchedule | timedelta | int | float):
            raise TypeError(f"the schedule {given!r} is none of Celery's")
        schedule: Any = schedules.maybe_schedule(given)
        if isinstance(schedule, schedules.crontab):
            return get_or_store(crontab_row(schedule)), "crontab"
        every: timedelta = getattr(schedule, "run_every", ONE_SECOND)
        if every % ONE_SECOND and every <= LONGEST_FRACTION:
            return get_or_store(interval_row(every)), "interval"
        stored: tuple[Any, str] = super().to_model_schedule(schedule)
        return stored

    @classmethod
    def _unpack_options(cls, **options: Any) -> dict[str, Any]:
        """Return the columns for `apply_async` options; a queue may be an object of kombu.

        Overrides ModelEntry._unpack_options, which drops `expires`.
        """
        for name in ("queue", "exchange"):
            options[name] = getattr(options.get(name), "name", options.get(name))
        if options.get("expire_seconds") is None:
            options["expire_seconds"] = lifetime_of(options)
        columns: dict[str, Any] = super()._unpack_options(**options)
        return columns


def crontab_row(schedule: schedules.crontab) -> CrontabSchedule:
    """Return the unsaved row of a crontab."""
    texts = {name: _spelled(getattr(schedule, f"_orig_{name}")) for name in CrontabFields._fields}
    return CrontabSchedule(**texts, timezone=schedule.tz)


def _spelled(values: Any) -> str:
    if isinstance(values, str | int):
        return str(values)
    return ",".join(map(str, sorted(values)))


def interval_row(every: timedelta) -> IntervalSchedule:
    """Return the unsaved row of an interval with a fraction of a second."""
    microseconds = every // timedelta(microseconds=1)
    return IntervalSchedule(every=microseconds, period=IntervalSchedule.MICROSECONDS)


def lifetime_of(options: Mapping[str, Any]) -> int | None:
    """Return the option `expires` in whole seconds; None if it is no positive duration."""
    expires = options.get("expires")
    if isinstance(expires, timedelta):
        expires = expires.total_seconds()
    if not isinstance(expires, int | float) or not 0 < expires < math.inf:
        return None
    return math.ceil(expires)


def ignored_parts(entry: object) -> Iterator[str]:
    """Yield the parts of an entry that beat ignores, as `options.countdown`.

    Celery's own scheduler, which keeps its schedule in a file, obeys them. No column of a periodic
    task holds them, so django-celery-beat ignores them, too. An entry of another shape, which
    beat does not store, has none: the API calls this for each answer.
    """
    if not isinstance(entry, Mapping):
        return
    options = entry.get("options")
    if isinstance(options, Mapping):
        yield from (
            f"options.{name}" for name in sorted(map(str, options.keys() - STORED_OPTIONS))
        )
        is_stored = options.get("expire_seconds") is None and lifetime_of(options) is not None
        if options.get("expires") is not None and not is_stored:
            yield "options.expires"
    schedule = entry.get("schedule")
    every = _length_of(schedule)
    if every > LONGEST_FRACTION and every % ONE_SECOND:
        yield "schedule's fraction of a second"
    if entry.get("relative") or getattr(schedule, "relative", False):
        yield "relative"
    if getattr(schedule, "nowfun", None) is not None:
        yield "schedule.nowfun"


def _length_of(schedule: object) -> timedelta:
    every = getattr(schedule, "run_every", schedule)
    if isinstance(every, int | float) and 0 < every < timedelta.max.total_seconds():
        every = timedelta(seconds=every)
    return every if isinstance(every, timedelta) else timedelta(0)
