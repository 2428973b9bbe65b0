"""How close together the slots of a schedule come, and whether that is too close."""

from calendar import monthrange
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any

from scheduler_api.access.models import ServiceAccount
from scheduler_api.http.problems import Mistake
from scheduler_api.schedules.crontab_fields import CrontabFields, CrontabValues, parse_fields
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.kinds import Clocked, Crontab, Interval, Schedule, Solar
from scheduler_api.schedules.tables import schedule_of

_ANY_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_MINUTES_OF_A_DAY = 24 * 60
_COMMON_YEAR = 365
# In these years, each kind of year follows each that it can follow: there are seven times two.
_EACH_KIND_OF_YEAR = range(2000, 2029)
# After 400 years the calendar repeats, weekdays included; the rarest day comes every 40 years.
_EACH_YEAR = range(2000, 2441)


def shortest_spacing(schedule: Schedule) -> timedelta | None:
    """Return the shortest time from a slot to the next; None for a schedule with one slot.

    Of a crontab it is what the clock and the calendar have, exactly, in whichever year; that the
    clock is changed is left out, which may bring two slots of that day closer together. The sun
    is taken to do everything once a day; it is minutes early or late.
    """
    match schedule:
        case Interval():
            return schedule.every
        case Crontab():
            return _shortest_crontab_spacing(schedule.fields)
        case Solar():
            return _DAY
        case Clocked():
            return None


def spacing_errors(row: Any, account: ServiceAccount, *, pointer: str) -> Iterator[Mistake]:
    """Refuse a schedule whose slots are closer together than the account's may be."""
    minimum = account.min_interval_seconds
    if minimum is None or row is None:
        return
    try:
        gap = shortest_spacing(schedule_of(row, anchor=_ANY_MOMENT))
    except InvalidSchedule:  # which others refuse
        return
    if gap is not None and gap < timedelta(seconds=minimum):
        yield Mistake(
            pointer=pointer,
            code="too_often",
            detail=f"Two of its slots are {gap.total_seconds():.0f} s apart; "
            f"this account's must be {minimum} s apart or more.",
        )


@lru_cache(maxsize=4096)
def _shortest_crontab_spacing(fields: CrontabFields) -> timedelta:
    values = parse_fields(fields)
    times = [60 * hour + minute for hour in values.hours for minute in values.minutes]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    over_night = _MINUTES_OF_A_DAY - times[-1] + times[0]
    if gaps and min(gaps) <= over_night:  # whichever the days are
        return timedelta(minutes=min(gaps))
    over_night += _MINUTES_OF_A_DAY * (_fewest_days_between(values) - 1)
    return timedelta(minutes=min([over_night, *gaps]))


def _fewest_days_between(values: CrontabValues) -> int:
    """Return how many days pass from a matching day to the next, where they are the closest."""
    days = _matching_days(values, _EACH_KIND_OF_YEAR)
    closest = min((later - earlier for earlier, later in pairwise(days)), default=None)
    if closest is not None and closest <= _COMMON_YEAR:  # found within two years
        return closest
    days = _matching_days(values, _EACH_YEAR)
    return min(later - earlier for earlier, later in pairwise(days))


def _matching_days(values: CrontabValues, years: Iterable[int]) -> Iterator[int]:
    """Yield the matching days of some years, as ordinals."""
    for year in years:
        for month in values.months:
            before = date(year, month, 1).toordinal() - 1
            _, length = monthrange(year, month)
            for day in values.days_of_month:
                # The first of all days was a Monday, which a crontab counts as 1, too.
                if day <= length and (before + day) % 7 in values.weekdays:
                    yield before + day
