"""The shortest time between two slots of a schedule, and an account's minimum for it."""

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

_ANY_ANCHOR = datetime(2000, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_MINUTES_OF_A_DAY = 24 * 60
_COMMON_YEAR = 365
# A year is common or leap and starts on one of seven weekdays. These years hold each of the
# fourteen kinds, followed by each kind that can follow it.
_ALL_PAIRS_OF_YEARS = range(2000, 2029)
# The calendar repeats after 400 years, weekdays included; the rarest day comes within 40 more.
_WHOLE_CALENDAR = range(2000, 2441)


def shortest_spacing(schedule: Schedule) -> timedelta | None:
    """Return the shortest time between two slots; None for a schedule with a single slot.

    For a crontab, the result is exact over all years of the calendar. It ignores clock changes,
    which can move two slots of that day closer together. For a solar schedule it is one day,
    although an event can be minutes earlier or later than the day before.
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
    """Yield a mistake if the slots are closer together than the account's minimum."""
    minimum = account.min_interval_seconds
    if minimum is None or row is None:
        return
    try:
        spacing = shortest_spacing(schedule_of(row, anchor=_ANY_ANCHOR))
    except InvalidSchedule:  # other checks report it
        return
    if spacing is not None and spacing < timedelta(seconds=minimum):
        yield Mistake(
            pointer=pointer,
            code="too_often",
            detail=f"Two of its slots are {spacing.total_seconds():.0f} s apart; "
            f"the minimum for this account is {minimum} s.",
        )


@lru_cache(maxsize=4096)
def _shortest_crontab_spacing(fields: CrontabFields) -> timedelta:
    values = parse_fields(fields)
    times = [60 * hour + minute for hour in values.hours for minute in values.minutes]
    within_a_day = [later - earlier for earlier, later in pairwise(times)]
    over_midnight = _MINUTES_OF_A_DAY - times[-1] + times[0]
    if within_a_day and min(within_a_day) <= over_midnight:  # for any set of days
        return timedelta(minutes=min(within_a_day))
    over_midnight += _MINUTES_OF_A_DAY * (_fewest_days_between(values) - 1)
    return timedelta(minutes=min([over_midnight, *within_a_day]))


def _fewest_days_between(values: CrontabValues) -> int:
    """Return the smallest number of days from a matching day to the next."""
    days = _matching_days(values, _ALL_PAIRS_OF_YEARS)
    closest = min((later - earlier for earlier, later in pairwise(days)), default=None)
    if closest is not None and closest <= _COMMON_YEAR:  # found within two years
        return closest
    days = _matching_days(values, _WHOLE_CALENDAR)
    return min(later - earlier for earlier, later in pairwise(days))


def _matching_days(values: CrontabValues, years: Iterable[int]) -> Iterator[int]:
    """Yield the matching days of these years, as ordinals."""
    for year in years:
        for month in values.months:
            before = date(year, month, 1).toordinal() - 1
            _, length = monthrange(year, month)
            for day in values.days_of_month:
                # Ordinal 1 is a Monday, and a crontab numbers Monday 1 as well.
                if day <= length and (before + day) % 7 in values.weekdays:
                    yield before + day
