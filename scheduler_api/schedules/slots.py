"""When is the next slot? The one answer, for preview, for beat and for validation."""

from datetime import UTC, datetime

from scheduler_api.schedules.crontab import next_crontab_slot
from scheduler_api.schedules.kinds import Clocked, Crontab, Interval, Schedule, Solar
from scheduler_api.schedules.solar import next_solar_slot

# Every zone can tell the time of any instant from here on.
_SECOND_DAY = datetime(1, 1, 2, tzinfo=UTC)


def next_slot(schedule: Schedule, after: datetime) -> datetime | None:
    """Return the first slot later than `after`, in UTC; None when there is none.

    There is none after the moment of a Clocked, in a year without a Solar event, and past 9999.

    Raises:
        ValueError: `after` is naive.

    """
    _refuse_naive("after", after)
    try:
        after = after.astimezone(UTC)
        match schedule:
            case Interval():
                return _next_interval_slot(schedule, after)
            case Crontab():
                return next_crontab_slot(schedule, max(after, _SECOND_DAY))
            case Solar():
                return next_solar_slot(schedule, max(after, _SECOND_DAY))
            case Clocked():
                at = schedule.at.astimezone(UTC)
                return at if at > after else None
    except OverflowError:  # past the year 9999
        return None


def upcoming(
    schedule: Schedule, *, after: datetime, count: int, until: datetime | None = None
) -> list[datetime]:
    """Return the next slots, at most `count` and none later than `until`.

    Raises:
        ValueError: `after` or `until` is naive.

    """
    if until is not None:
        _refuse_naive("until", until)
    slots: list[datetime] = []
    while len(slots) < count:
        slot = next_slot(schedule, slots[-1] if slots else after)
        if slot is None or (until is not None and slot > until):
            break
        slots.append(slot)
    return slots


def _next_interval_slot(interval: Interval, after: datetime) -> datetime:
    anchor = interval.anchor.astimezone(UTC)
    passed = max((after - anchor) // interval.every, 0)  # exact: a timedelta is an integer
    return anchor + (passed + 1) * interval.every


def _refuse_naive(name: str, moment: datetime) -> None:
    if moment.utcoffset() is None:
        raise ValueError(f"{name} must be an aware datetime, not {moment!r}")
