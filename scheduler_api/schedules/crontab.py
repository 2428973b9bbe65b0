"""When a crontab is due: the naive calendar finds wall times, the zone turns them into instants.

The rule where clocks change. When the hour field is `*` or `*/n`, the schedule follows elapsed
time: it is due in every UTC minute whose wall time matches, so twice in a repeated hour, and never
at a wall time that a gap leaves out. Any other hour field means fixed wall times, each due once:
at the first instant at which the clocks show that time *or later*. For a time inside a gap that
is the end of the gap, for one inside a repeated hour its first occurrence.

All this rests on two facts about clocks. An offset from UTC is less than a day, says `datetime`,
so no two of them differ by two days. And no zone has ever changed its clocks twice within three
days (a test looks), so that a span of two days holds one change at most.
"""

from bisect import bisect_left, bisect_right
from calendar import monthrange
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from scheduler_api.schedules.crontab_fields import CrontabValues, parse_fields
from scheduler_api.schedules.kinds import Crontab

_SECOND = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


def next_crontab_slot(crontab: Crontab, after: datetime) -> datetime | None:
    values = parse_fields(crontab.fields)
    if values.every_nth_hour:
        return _next_in_elapsed_time(values, crontab.timezone, after)
    return _next_fixed_wall_time(values, crontab.timezone, after)


def _next_fixed_wall_time(
    values: CrontabValues, zone: ZoneInfo, after: datetime
) -> datetime | None:
    wall = _wall_minute(after, zone)
    while (match := _first_match(values, wall + _MINUTE)) is not None:
        slot = _first_instant_showing(match, zone)
        if slot > after:
            return slot
        # In a repeated hour. Up to its end, the clocks have shown every wall time before.
        wall = _wall_minute(_clock_change(zone, slot, after) - _SECOND, zone)
    return None


def _next_in_elapsed_time(
    values: CrontabValues, zone: ZoneInfo, after: datetime
) -> datetime | None:
    moment = after - timedelta(seconds=after.second, microseconds=after.microsecond) + _MINUTE
    while True:
        wall = _wall_minute(moment, zone)
        match = _first_match(values, wall)
        if match is None:
            return None
        wait = match - wall
        if wait > 2 * _DAY:  # whatever the clocks do, nothing matches until two days before
            moment += wait - 2 * _DAY
            continue
        slot = moment + wait
        if _offset(slot, zone) == _offset(moment, zone):
            return slot
        moment = _whole_minute_from(_clock_change(zone, moment, slot))


def _wall_minute(moment: datetime, zone: ZoneInfo) -> datetime:
    shown = moment.astimezone(zone)
    return _wall(shown, shown.hour, shown.minute)


def _wall(day: date, hour: int, minute: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001 - replace() is slow


def _whole_minute_from(moment: datetime) -> datetime:
    return (moment + _MINUTE - _SECOND).replace(second=0)


def _first_instant_showing(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant at which the clocks of the zone show `wall` or later."""
    local = datetime.combine(wall, wall.time(), zone)  # the first of two when the hour is repeated
    instant = local.astimezone(UTC)
    if instant.astimezone(zone) == local:
        return instant
    # In a gap. Read with the offset of after the gap (fold=1), `wall` is an instant before it;
    # with the offset of before (fold=0), an instant after it.
    return _clock_change(zone, local.replace(fold=1).astimezone(UTC), instant)


def _clock_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime:
    """Return when the offset of `start` ended, given that the one of `end` differs.

    They are at most two days apart, and `start` is a whole second, as clock changes are.
    """
    offset = _offset(start, zone)
    seconds = bisect_left(
        range((end - start) // _SECOND),
        True,
        key=lambda seconds: _offset(start + seconds * _SECOND, zone) != offset,
    )
    return start + seconds * _SECOND


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()


def _first_match(values: CrontabValues, start: datetime) -> datetime | None:
    """Return the first matching wall time at or after `start`; naive, in whole minutes."""
    today = start.date()
    day = _first_day(values, today)
    if day == today:
        match = _first_time(values, start)
        if match is not None:
            return match
        day = _first_day(values, today + _DAY)
    if day is None:
        return None
    return _wall(day, values.hours[0], values.minutes[0])


def _first_time(values: CrontabValues, start: datetime) -> datetime | None:
    """Return the first match on the day of `start`, at or after it."""
    if start.hour in values.hours:
        later = bisect_left(values.minutes, start.minute)
        if later < len(values.minutes):
            return _wall(start, start.hour, values.minutes[later])
    later = bisect_right(values.hours, start.hour)
    if later < len(values.hours):
        return _wall(start, values.hours[later], values.minutes[0])
    return None


def _first_day(values: CrontabValues, start: date) -> date | None:
    """Return the first matching day at or after `start`.

    The search is short: the rarest day, a 29 February on a given weekday, comes every 40 years.
    """
    if (
        start.day in values.days_of_month
        and start.month in values.months
        and start.isoweekday() % 7 in values.weekdays
    ):
        return start
    for year in range(start.year, MAXYEAR + 1):
        for month in values.months:
            if (year, month) < (start.year, start.month):
                continue
            weekday_of_first, length = monthrange(year, month)
            first = start.day if (year, month) == (start.year, start.month) else 1
            for day in values.days_of_month[bisect_left(values.days_of_month, first) :]:
                # monthrange counts from Monday as 0, a crontab from Sunday as 0
                if day <= length and (weekday_of_first + day) % 7 in values.weekdays:
                    return date(year, month, day)
    return None
