"""The four kinds of schedule, as values.

Every instance is valid: the constructors raise InvalidSchedule for a schedule that cannot run.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from scheduler_api.schedules.crontab_fields import CrontabFields, parse_fields
from scheduler_api.schedules.errors import InvalidSchedule

__all__ = [
    "MAX_INTERVAL",
    "MIN_INTERVAL",
    "SOLAR_EVENTS",
    "Clocked",
    "Crontab",
    "Interval",
    "InvalidSchedule",
    "Schedule",
    "Solar",
]

# Limits of the API; the engine itself accepts every interval above zero.
MIN_INTERVAL: Final = timedelta(seconds=1)
MAX_INTERVAL: Final = timedelta(days=10 * 365 + 3)  # ten years hold at most three leap days

SOLAR_EVENTS: Final = (
    "dawn_astronomical",
    "dawn_nautical",
    "dawn_civil",
    "sunrise",
    "solar_noon",
    "sunset",
    "dusk_civil",
    "dusk_nautical",
    "dusk_astronomical",
)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Slots at `anchor + k * every` for k = 1, 2, 3, ..., in elapsed time."""

    every: timedelta
    anchor: datetime

    def __post_init__(self) -> None:
        if self.every <= timedelta(0):
            raise InvalidSchedule(
                f"every is {self.every}: use a duration above zero",
                field="every",
                code="out_of_range",
            )
        _refuse_naive("anchor", self.anchor)


@dataclass(frozen=True, kw_only=True)
class Crontab:
    """Slots at the wall times of a zone that match all five fields, with Celery's meaning.

    Celery differs from cron in one point: the day of the month AND the day of the week must
    match.
    """

    minute: str = "*"
    hour: str = "*"
    day_of_month: str = "*"
    month_of_year: str = "*"
    day_of_week: str = "*"
    timezone: ZoneInfo

    def __post_init__(self) -> None:
        parse_fields(self.fields)

    @cached_property
    def fields(self) -> CrontabFields:
        return CrontabFields(
            minute=self.minute,
            hour=self.hour,
            day_of_month=self.day_of_month,
            month_of_year=self.month_of_year,
            day_of_week=self.day_of_week,
        )


@dataclass(frozen=True, kw_only=True)
class Solar:
    """Slots at a solar event at a location, in degrees; north and east are positive."""

    event: str
    latitude: Decimal | float
    longitude: Decimal | float

    def __post_init__(self) -> None:
        if self.event not in SOLAR_EVENTS:
            raise InvalidSchedule(
                f"event '{self.event}' is unknown: use one of {', '.join(SOLAR_EVENTS)}",
                field="event",
                code="unknown_event",
            )
        _refuse_beyond("latitude", self.latitude, limit=90)
        _refuse_beyond("longitude", self.longitude, limit=180)


@dataclass(frozen=True, kw_only=True)
class Clocked:
    """A single slot."""

    at: datetime

    def __post_init__(self) -> None:
        _refuse_naive("at", self.at)


Schedule = Interval | Crontab | Solar | Clocked


def _refuse_naive(field: str, moment: datetime) -> None:
    if moment.utcoffset() is None:
        raise InvalidSchedule(
            f"{field} '{moment}' has no time zone: add one, for example '{moment}+00:00'",
            field=field,
            code="naive",
        )


def _refuse_beyond(field: str, degrees: Decimal | float, *, limit: int) -> None:
    if not -limit <= float(degrees) <= limit:  # also true for NaN
        raise InvalidSchedule(
            f"{field} '{degrees}' is out of range: use -{limit} to {limit} degrees",
            field=field,
            code="out_of_range",
        )
