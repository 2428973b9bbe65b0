"""The next slot of a crontab: find wall times in a naive calendar, then convert them to instants.

The rule for clock changes depends on the hour field:

- All 24 hours in any spelling, or `*/n` with more than one hour: the schedule follows elapsed
  time. It is due in every UTC minute that has a matching wall time: twice in a repeated hour,
  never at a wall time that a gap leaves out.
- Any other value: fixed wall times, each due once, at the first instant at which the clock shows
  that time *or later*. For a time inside a gap this is the end of the gap; for a time inside a
  repeated hour, its first occurrence.

The algorithm relies on two facts. `datetime` requires an offset from UTC to be less than a day, so
two offsets differ by less than two days. No zone has ever changed its clock twice within three
days (a test checks this for the installed tzdata), so a span of two days holds at most one change.
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
    """Return the first slot later than `after`, in UTC; None if there is none."""
    values = parse_fields(crontab.fields)
    if values.follows_elapsed_time:
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
        # `after` is in a repeated hour: until it ends, each wall time occurs for the second time.
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
        if wait > 2 * _DAY:
            if _offset(moment + _DAY, zone) != _offset(moment, zone):
                # The clock may be set back by up to a day, to wall times before `wall` that match.
                moment = _whole_minute_from(_clock_change(zone, moment, moment + _DAY))
            else:  # a later change cannot reach them: nothing matches until two days before
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
    """Return the first instant at which the clock of the zone shows `wall` or later."""
    local = datetime.combine(wall, wall.time(), zone)  # fold=0: the first of a repeated hour
    instant = local.astimezone(UTC)
    if instant.astimezone(zone) == local:
        return instant
    # `wall` is in a gap. With the offset after the gap (fold=1), it is an instant before the gap;
    # with the offset before the gap (fold=0), an instant after it.
    return _clock_change(zone, local.replace(fold=1).astimezone(UTC), instant)


def _clock_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime:
    """Return the instant of the clock change between `start` and `end`.

    Their offsets differ, and they are at most two days apart. `start` is a whole second, since
    clock changes happen at whole seconds.
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
    """Return the first matching wall time at or after `start`: naive, in whole minutes."""
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
    """Return the first matching wall time on the day of `start`, at or after `start`."""
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

    The search is short: the rarest day, 29 February on a given weekday, comes at least once in 40
    years.
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
