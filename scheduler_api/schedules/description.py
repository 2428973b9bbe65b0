"""Describe a schedule in words: "At 07:30, Monday through Friday (Europe/Berlin)".

The description of a crontab depends on the values of its fields, not on their spelling. Two
crontabs with the same description match the same wall times.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from scheduler_api.schedules.crontab_fields import CrontabValues, consecutive_runs, parse_fields
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.kinds import Clocked, Crontab, Interval, Schedule, Solar
from scheduler_api.schedules.zone_advice import utc_offset_text

_UNITS: Final = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
    ("microsecond", timedelta(microseconds=1)),
)
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WEEKDAYS: Final = (
    *("Monday", "Tuesday", "Wednesday", "Thursday"),
    *("Friday", "Saturday", "Sunday"),
)
_SUN: Final = {
    "dawn_astronomical": "astronomical dawn",
    "dawn_nautical": "nautical dawn",
    "dawn_civil": "civil dawn",
    "sunrise": "sunrise",
    "solar_noon": "solar noon",
    "sunset": "sunset",
    "dusk_civil": "civil dusk",
    "dusk_nautical": "nautical dusk",
    "dusk_astronomical": "astronomical dusk",
}
_DAYS_OF_MONTH = 31
_ANY_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MOST_TIMES_LISTED = 6
_SHORTEST_RANGE = 3


def describe_never(error: InvalidSchedule) -> str:
    """Describe a row that no schedule can be built from, by its error."""
    return f"Never: {error}"


def describe(schedule: Schedule) -> str:
    """Return the description of a schedule."""
    match schedule:
        case Interval():
            return _describe_interval(schedule.every)
        case Crontab():
            times = _describe_crontab(parse_fields(schedule.fields))
            return f"{times} ({_zone(schedule.timezone)})"
        case Solar():
            return (
                f"At {_SUN[schedule.event]} at latitude {_degrees(schedule.latitude)}, "
                f"longitude {_degrees(schedule.longitude)}"
            )
        case Clocked():
            return f"Once, at {schedule.at.astimezone(UTC).replace(tzinfo=None)} UTC"


def _zone(zone: ZoneInfo) -> str:
    """Return the name of a zone; that of a fixed offset is hard to read, its sign is reversed."""
    if not str(zone).startswith("Etc/GMT"):
        return str(zone)
    return f"{zone}, {utc_offset_text(_ANY_MOMENT.astimezone(zone).utcoffset() or timedelta(0))}"


def _describe_interval(every: timedelta) -> str:
    unit, length = next((unit, length) for unit, length in _UNITS if not every % length)
    return _every(every // length, unit)


def _degrees(value: Decimal | float) -> str:
    return f"{value:z.6f}".rstrip("0").rstrip(".")


def _describe_crontab(values: CrontabValues) -> str:
    times = _time_of_day(values)
    days = _days(values) or ("every day" if times.startswith("At") else "")
    return f"{times}, {days}" if days else times


def _time_of_day(values: CrontabValues) -> str:
    minutes, hours = values.minutes, values.hours
    minute_step, hour_step = _step(minutes, of=60), _step(hours, of=24)
    if minutes == (0,) and hour_step:
        return _every(hour_step, "hour")
    if len(hours) * len(minutes) <= _MOST_TIMES_LISTED:
        times = [f"{hour:02}:{minute:02}" for hour in hours for minute in minutes]
        return f"At {_listed(times)}"

    when = _every(minute_step, "minute") if minute_step else f"At {_numbers('minute', minutes)}"
    if hour_step == 1:
        return when if minute_step else f"{when} of every hour"
    if len(list(consecutive_runs(hours))) == 1:
        if minutes == (0,):
            return f"Every hour from {hours[0]:02}:00 through {hours[-1]:02}:00"
        return f"{when} from {hours[0]:02}:00 through {hours[-1]:02}:59"
    return f"{when} of {_numbers('hour', hours)}"


def _days(values: CrontabValues) -> str:
    """Describe the days; return an empty string for every day."""
    months = _unless_all(values.months, of=12, name=lambda month: _MONTHS[month - 1])
    # The week starts on Monday, so that a weekend reads "Saturday and Sunday".
    from_monday = sorted((day - 1) % 7 for day in values.weekdays)
    weekdays = _unless_all(from_monday, of=7, name=lambda day: _WEEKDAYS[day])

    if len(values.days_of_month) == _DAYS_OF_MONTH:
        in_months = f"in {_listed(months)}" if months else ""
        return " ".join(filter(None, (_listed(weekdays), in_months)))
    days = f"on {_numbers('day', values.days_of_month)} of {_listed(months) or 'the month'}"
    return f"{days} if that is {_listed(weekdays, 'or')}" if weekdays else days


def _every(count: int, unit: str) -> str:
    return f"Every {unit}" if count == 1 else f"Every {count} {unit}s"


def _step(values: Sequence[int], *, of: int) -> int | None:
    """Return n if the values are every n-th of a whole cycle, otherwise None."""
    step = of // len(values)
    return step if len(values) > 1 and list(values) == list(range(0, of, step)) else None


def _numbers(unit: str, values: Sequence[int]) -> str:
    return f"{unit if len(values) == 1 else unit + 's'} {_listed(_ranges(values, name=str))}"


def _unless_all(values: Sequence[int], *, of: int, name: Callable[[int], str]) -> list[str]:
    return [] if len(values) == of else _ranges(values, name=name)


def _ranges(values: Sequence[int], *, name: Callable[[int], str]) -> list[str]:
    ranges = []
    for run in consecutive_runs(values):
        names = [name(value) for value in run]
        ranges += names if len(run) < _SHORTEST_RANGE else [f"{names[0]} through {names[-1]}"]
    return ranges


def _listed(items: Sequence[str], conjunction: str = "and") -> str:
    *others, last = items or [""]
    return f"{', '.join(others)} {conjunction} {last}" if others else last
