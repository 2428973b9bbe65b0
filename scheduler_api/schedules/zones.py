"""Read crontabs with a time zone that this machine does not know."""

from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django_celery_beat.models import CrontabSchedule


class UnknownZone(ZoneInfo):
    """A zone with a name and no known rules. It carries the rules of UTC, which nothing uses."""


def tolerate_unknown_zones() -> None:
    """Make crontabs with an unknown time zone readable.

    Raw SQL or an old backup may have written one. `TimeZoneField.from_db_value` raises for it, so
    a single such row would break every page of a list that includes it. Writing stays strict.
    """
    CrontabSchedule._meta.get_field("timezone").from_db_value = zone_from_db


def zone_from_db(name: str | None, *_: object) -> ZoneInfo | None:
    """Return the stored zone, or an UnknownZone; None for the missing side of a join."""
    if name is None:
        return None
    try:
        known: ZoneInfo | None = CrontabSchedule._meta.get_field("timezone").to_python(name)
    # ValueError and OSError: the name is the path of a file or directory without zone data.
    except (ValidationError, ValueError, OSError):
        known = None
    return known or unknown_zone(name)


@lru_cache
def unknown_zone(name: str) -> UnknownZone:
    """Return the UnknownZone of a name. Cached: the same object for the same name."""
    with (files("tzdata") / "zoneinfo" / "UTC").open("rb") as rules:
        return UnknownZone.from_file(rules, key=name)
