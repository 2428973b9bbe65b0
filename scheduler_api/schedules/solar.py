"""The next slot of a solar schedule: Celery's solar events, computed by ephem.

ephem's result depends slightly on the start of its search: it stops within 0.1 s of the event,
and a search from an event may return that event again. Every event is therefore computed from one
fixed start, hours before it, and does not depend on the time of the call. The result is accurate
to 0.1 s of ephem's model, which ignores the weather; the microseconds carry no meaning.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import radians
from typing import Any, Final

from ephem import (  # type: ignore[attr-defined]  # the stubs lack most of it
    CircumpolarError,
    Date,
    Observer,
    Sun,
)

from scheduler_api.schedules.kinds import Solar

_DAY = timedelta(days=1)
# ephem counts days from here. Its own conversions to and from datetime use the Julian calendar
# before 1582, which has a 29 February in 1500 and is ten days behind.
_DAY_ZERO = datetime(1899, 12, 31, 12, tzinfo=UTC)
_SEARCHED_DAYS = 366

# event: (ephem's search, altitude of the sun, whether its centre or its upper limb counts)
EVENTS: Final = {
    "dawn_astronomical": ("next_rising", "-18", True),
    "dawn_nautical": ("next_rising", "-12", True),
    "dawn_civil": ("next_rising", "-6", True),
    "sunrise": ("next_rising", "-0:34", False),
    "solar_noon": ("next_transit", "0", False),
    "sunset": ("next_setting", "-0:34", False),
    "dusk_civil": ("next_setting", "-6", True),
    "dusk_nautical": ("next_setting", "-12", True),
    "dusk_astronomical": ("next_setting", "-18", True),
}


# In local mean time, the sun rises between midnight and noon, culminates at noon and sets between
# noon and midnight, within the 17 minutes of the equation of time. A day that begins at one of
# these hours holds at most one event, and none near its ends.
_DAY_BEGINS: Final = {
    "next_rising": timedelta(hours=18),
    "next_transit": timedelta(hours=6),
    "next_setting": timedelta(hours=6),
}


def next_solar_slot(solar: Solar, after: datetime) -> datetime | None:
    """Return the first event later than `after`; None if there is none in a year (at a pole)."""
    search, _, _ = EVENTS[solar.event]
    day_begins = _DAY_BEGINS[search] - timedelta(days=float(solar.longitude) / 360)
    midnight = (after - day_begins).replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight + day_begins
    for _ in range(_SEARCHED_DAYS + 1):
        event = _event_of_day(solar, start)
        if event is not None and event > after:
            return event
        start += _DAY
    return None


@lru_cache(maxsize=4096)
def _event_of_day(solar: Solar, start: datetime) -> datetime | None:
    search, horizon, use_center = EVENTS[solar.event]
    observer: Any = Observer()
    observer.lat = radians(solar.latitude)
    observer.lon = radians(solar.longitude)
    observer.horizon = horizon
    observer.pressure = 0
    options = {"use_center": True} if use_center else {}
    try:
        found = getattr(observer, search)(Sun(), start=Date((start - _DAY_ZERO) / _DAY), **options)
    except CircumpolarError:
        return None
    event = _DAY_ZERO + float(found) * _DAY
    return event if start <= event < start + _DAY else None
