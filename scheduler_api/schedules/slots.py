"""The next slots of any schedule: the one engine that preview, beat and validation share."""

from datetime import UTC, datetime, timedelta

from scheduler_api.schedules.crontab import next_crontab_slot
from scheduler_api.schedules.kinds import Clocked, Crontab, Interval, Schedule, Solar
from scheduler_api.schedules.solar import next_solar_slot

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The resolution of slots.
ONE_MICROSECOND = timedelta(microseconds=1)
# From this instant on, the wall time of every zone is representable.
_SECOND_DAY = datetime(1, 1, 2, tzinfo=UTC)


def next_slot(schedule: Schedule, after: datetime) -> datetime | None:
    """Return the first slot later than `after`, in UTC; None if there is none.

    There is none after the slot of a Clocked, if a Solar event does not occur within a year, and
    past the year 9999.

    Raises:
        ValueError: `after` is naive.

    """
    _refuse_naive("after", after)
    try:
        after = after.astimezone(UTC)
        match schedule:
            case Interval():
                return next_interval_slot(schedule.every, schedule.anchor.astimezone(UTC), after)
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


def next_interval_slot(every: timedelta, anchor: datetime, after: datetime) -> datetime:
    """Return the first of `anchor + k * every`, for k = 1, 2, 3, ..., that is later than `after`.

    Raises:
        OverflowError: the slot is past the year 9999.

    """
    passed = max((after - anchor) // every, 0)  # exact: a timedelta is an integer
    return anchor + (passed + 1) * every


def _refuse_naive(name: str, moment: datetime) -> None:
    if moment.utcoffset() is None:
        raise ValueError(f"{name} must be an aware datetime, not {moment!r}")
