"""django-celery-beat's four tables of schedules: convert, validate, compare and reuse rows."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Model
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    SolarSchedule,
)

from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.kinds import (
    MAX_INTERVAL,
    MIN_INTERVAL,
    Clocked,
    Crontab,
    Interval,
    Schedule,
    Solar,
)
from scheduler_api.schedules.slots import next_slot
from scheduler_api.schedules.zone_advice import advice_on_zone
from scheduler_api.schedules.zones import UnknownZone


@dataclass(frozen=True, kw_only=True)
class ScheduleKind:
    """A kind of schedule: its table, and the columns that define the slots."""

    name: str
    model: type[Model]
    columns: tuple[str, ...]


KINDS = {
    kind.name: kind
    for kind in (
        ScheduleKind(name="interval", model=IntervalSchedule, columns=("every", "period")),
        ScheduleKind(
            name="crontab",
            model=CrontabSchedule,
            columns=(
                "minute",
                "hour",
                "day_of_month",
                "month_of_year",
                "day_of_week",
                "timezone",
            ),
        ),
        ScheduleKind(
            name="solar", model=SolarSchedule, columns=("event", "latitude", "longitude")
        ),
        ScheduleKind(name="clocked", model=ClockedSchedule, columns=("clocked_time",)),
    )
}
KIND_OF_MODEL = {kind.model: kind for kind in KINDS.values()}


def kind_of(row: Model) -> ScheduleKind:
    """Return the kind of a row of one of the four tables."""
    return KIND_OF_MODEL[type(row)]


def schedule_of(row: Any, *, anchor: datetime) -> Schedule:
    """Return the schedule of a row; an interval counts from `anchor`.

    Raises:
        InvalidSchedule: another program wrote an invalid row.

    """
    match row:
        case IntervalSchedule():
            return Interval(every=interval_length(row.every, row.period), anchor=anchor)
        case CrontabSchedule():
            if isinstance(row.timezone, UnknownZone):
                raise InvalidSchedule(
                    f"timezone '{row.timezone}' is unknown: "
                    f"{advice_on_zone(str(row.timezone), year=anchor.year).rstrip('.')}",
                    field="timezone",
                    code="unknown_zone",
                )
            return cached_crontab(**values_of(row))
        case SolarSchedule():
            return Solar(event=row.event, latitude=row.latitude, longitude=row.longitude)
        case ClockedSchedule():
            return Clocked(at=row.clocked_time)
    raise TypeError(f"{row!r} is not a schedule")


# Many periodic tasks share a crontab, and parsing one is slow.
cached_crontab = lru_cache(maxsize=4096)(Crontab)


@lru_cache(maxsize=4096)
def interval_length(every: int, period: str) -> timedelta:
    """Return the length of an interval.

    Raises:
        InvalidSchedule: the period is unknown, or the length is not 1 second to 10 years.

    """
    try:
        unit = timedelta(**{period: 1})
    except TypeError as error:
        periods = ", ".join(dict(IntervalSchedule.PERIOD_CHOICES))
        raise InvalidSchedule(
            f"period '{period}' is unknown: use one of {periods}",
            field="period",
            code="unknown_period",
        ) from error
    # Divide instead of multiplying: the largest integer times a day would overflow.
    if not MIN_INTERVAL / unit <= every <= MAX_INTERVAL / unit:
        raise InvalidSchedule(
            f"The interval is out of range: use 1 second to 10 years ({MAX_INTERVAL.days} days).",
            field="every",
            code="interval_out_of_range",
        )
    return every * unit


def check_row(row: Any, *, now: datetime) -> None:
    """Raise InvalidSchedule unless Celery can build the schedule and it has a next slot."""
    schedule = schedule_of(row, anchor=now)
    try:
        _ = row.schedule
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidSchedule(str(error), field="", code="invalid_schedule") from error
    if next_slot(schedule, now) is None:
        raise InvalidSchedule(
            "This schedule has no slot in the future, so it would never run.",
            field=kind_of(row).columns[0],
            code="never_due",
        )


def values_of(row: Any) -> dict[str, Any]:
    """Return the columns that define the slots."""
    return {column: getattr(row, column) for column in kind_of(row).columns}


def are_equal(one: Any, other: Any) -> bool:
    """Return whether two rows, stored or not, define the same schedule."""
    return type(one) is type(other) and values_of(one) == values_of(other)


def get_or_store(row: Any) -> Any:
    """Return a stored row equal to this one; save this one if there is none.

    Equal schedules share a row, so a million periodic tasks do not need a million rows.
    """
    if row.pk is not None:
        return row
    if equal := find_equal(row):
        return equal
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:  # solar schedules are unique, and another request stored it first
        if equal := find_equal(row):
            return equal
        raise
    return row


def find_equal(row: Any) -> Any:
    """Return the first stored row equal to this one, or None."""
    return type(row)._default_manager.filter(**values_of(row)).order_by("pk").first()
