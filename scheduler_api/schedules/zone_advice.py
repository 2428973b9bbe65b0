"""Advice on an unknown time zone: the zone that was meant, if it is certain to the hour.

A wrong hint would move a schedule by hours. Abbreviations and offsets therefore get an explanation
with real zones, and only a slip of one or two letters gets "did you mean".
"""

import difflib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

_LONGEST_NAME = 60
_SHORTEST_LONG_CITY = 8
_MOST_HINTS = 3
_LONGEST_ABBREVIATION = 5
_MOST_AHEAD, _MOST_BEHIND = 14, 12
_OFFSET = re.compile(
    r"(etc/)?(?:utc|gmt|z)?\s*([+-\u2212])\s*(\d{1,2})(?::?(\d\d))?", re.IGNORECASE
)
_SIGNED = re.compile(r"etc/.*[+-]", re.IGNORECASE)
_REVERSED = (
    "the sign of such a zone is reversed: 'Etc/GMT-7' is 7 hours ahead of UTC, and 'Etc/GMT+7' is "
    "7 hours behind it."
)
_ABBREVIATION = re.compile(r"[A-Z]{1,5}|[a-z]{1,4}")
# "UTC" and "GMT" are zones of their own, and "Z" is UTC in ISO 8601.
_ZERO = {"utc": "UTC", "gmt": "GMT", "z": "UTC"}
# Areas of places. Others, such as "US", group zones by a country's own names.
_AREAS = frozenset(
    {"africa", "america", "antarctica", "asia", "atlantic", "australia", "europe", "indian"}
    | {"pacific"}
)
# The best known place of each offset or abbreviation that several have.
_WELL_KNOWN = (
    *("Europe/London", "Europe/Dublin", "Europe/Lisbon", "Europe/Berlin", "Europe/Athens"),
    *("Europe/Moscow", "America/New_York", "America/Chicago", "America/Denver"),
    *("America/Los_Angeles", "America/Anchorage", "America/Halifax", "America/Havana"),
    *("America/Sao_Paulo", "America/Argentina/Buenos_Aires", "Asia/Kolkata", "Asia/Shanghai"),
    *("Asia/Manila", "Asia/Tokyo", "Asia/Seoul", "Asia/Jerusalem", "Asia/Karachi", "Asia/Dubai"),
    *("Asia/Dhaka", "Asia/Bangkok", "Asia/Kathmandu", "Australia/Sydney", "Australia/Brisbane"),
    *("Australia/Adelaide", "Australia/Darwin", "Australia/Perth", "Pacific/Auckland"),
    *("Africa/Johannesburg", "Africa/Lagos", "Africa/Nairobi", "Africa/Cairo"),
)


@cache
def zone_names() -> frozenset[str]:
    """Return the names of all time zones. Cached: listing them reads the disk."""
    # "localtime" means another zone on each machine.
    return frozenset(available_timezones() - {"localtime"})


def advice_on_zone(name: str, *, year: int) -> str:
    """Return which zone to use in the place of an unknown name, as the end of a sentence.

    Abbreviations and offsets are those of January and July of `year`.
    """
    name = name.strip()
    if zero := _ZERO.get(name.lower()):
        return f"did you mean '{zero}'?"
    if offset := _OFFSET.fullmatch(name):
        return _advice_on_offset(*offset.groups(), year=year)
    if _SIGNED.match(name):
        return _REVERSED
    places = _places_by_abbreviation(year).get(name.upper())
    if places:
        return f"an abbreviation is ambiguous: use a place such as {_listed(places)}."
    if hints := list(_likely(name)):
        return f"did you mean {' or '.join(map(repr, hints[:_MOST_HINTS]))}?"
    use = "use a name of the IANA database"
    if _ABBREVIATION.fullmatch(name):
        use = "an abbreviation is ambiguous: use a place"
    return f"{use} such as 'Europe/Berlin'."


def utc_offset_text(offset: timedelta) -> str:
    """Return an offset as `UTC+05:30`."""
    minutes = abs(offset) // timedelta(minutes=1)
    sign = "-" if offset < timedelta(0) else "+"
    return f"UTC{sign}{minutes // 60:02}:{minutes % 60:02}"


def _advice_on_offset(
    etc: str | None, sign: str, hours: str, minutes: str | None, *, year: int
) -> str:
    ahead = timedelta(hours=int(hours), minutes=int(minutes or 0))
    if sign != "+":
        ahead = -ahead
    if not ahead:
        return "use 'UTC'."
    if etc:
        return _REVERSED
    place = _fixed_places(year).get(ahead)
    remedies = [f"a place such as '{place}'"] if place else []
    if not int(minutes or 0) and -_MOST_BEHIND <= ahead // timedelta(hours=1) <= _MOST_AHEAD:
        reversed_sign = "-" if sign == "+" else "+"
        zone = f"Etc/GMT{reversed_sign}{int(hours)}"
        remedies.insert(0, f"'{zone}', whose sign is reversed")
    if not remedies:
        return f"no zone is {utc_offset_text(ahead)} all year: use a place instead."
    return f"for {utc_offset_text(ahead)} all year use {', or '.join(remedies)}."


def _listed(places: Mapping[str, timedelta]) -> str:
    *others, last = (f"'{name}' ({utc_offset_text(ahead)})" for name, ahead in places.items())
    return f"{', '.join(others)} or {last}" if others else last


@cache
def _places_by_abbreviation(year: int) -> dict[str, dict[str, timedelta]]:
    """Return a place with its offset for each meaning of each abbreviation of letters."""
    found: dict[str, dict[timedelta, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in _places():
        for moment in _seasons(year):
            shown = moment.astimezone(ZoneInfo(name))
            if (abbreviation := str(shown.tzname())).isalpha():
                found[abbreviation.upper()][shown.utcoffset() or timedelta(0)].append(name)
    return {
        abbreviation: {_best(names): ahead for ahead, names in sorted(by_offset.items())}
        for abbreviation, by_offset in found.items()
    }


@cache
def _fixed_places(year: int) -> dict[timedelta, str]:
    """Return a place for each offset that some place has in January and July."""
    found: dict[timedelta, list[str]] = defaultdict(list)
    for name in _places():
        offsets = {moment.astimezone(ZoneInfo(name)).utcoffset() for moment in _seasons(year)}
        if len(offsets) == 1:
            found[offsets.pop() or timedelta(0)].append(name)
    return {ahead: _best(names) for ahead, names in found.items()}


def _seasons(year: int) -> tuple[datetime, datetime]:
    return datetime(year, 1, 1, tzinfo=UTC), datetime(year, 7, 1, tzinfo=UTC)


def _places() -> list[str]:
    return sorted(name for name in zone_names() if name.partition("/")[0].lower() in _AREAS)


def _best(names: Collection[str]) -> str:
    return next((name for name in _WELL_KNOWN if name in names), min(names))


def _likely(name: str) -> Iterable[str]:
    """Return the zones that a name means but for its case, its area, or a slip or two."""
    if len(name) > _LONGEST_NAME:
        return []
    written = _folded(name)
    by_folded = {_folded(known): known for known in zone_names()}
    if written in by_folded:
        return [by_folded[written]]
    area, _, city = written.rpartition("/")
    if area not in _AREAS:
        cities = sorted(
            known for folded, known in by_folded.items() if folded.rpartition("/")[2] == city
        )
        if cities:
            return cities if len(cities) <= _MOST_HINTS else []
    if "+" in name or any(map(str.isdigit, name)):  # another digit is another offset
        return []
    close = difflib.get_close_matches(written, by_folded, n=2 * _MOST_HINTS, cutoff=0.8)
    slips = {by_folded[other]: _slips(written, other) for other in close}
    fewest = min(slips.values(), default=0)
    if fewest > (2 if len(city) >= _SHORTEST_LONG_CITY else 1):
        return []
    return sorted(known for known, count in slips.items() if count == fewest)


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.casefold())


def _slips(one: str, other: str) -> int:
    """Return the number of missing, added, changed and swapped letters (restricted edits)."""
    before, row = list[int](), list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        earlier, before, row = before, row, [i]
        for j, theirs in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != theirs))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == theirs:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
    return row[-1]
