"""Time zones that a row names and this machine does not know."""

from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django_celery_beat.models import CrontabSchedule


class UnknownZone(ZoneInfo):
    """The name of a zone; its rules are not known, and those it has are not used."""


def tolerate_unknown_zones() -> None:
    """Let a crontab be read whose zone is unknown: raw SQL or an old backup may have written it.

    `TimeZoneField.from_db_value` raises, and so one such row would be an error of every page
    that it is on. Writing stays as strict as it is.
    """
    CrontabSchedule._meta.get_field("timezone").from_db_value = zone_from_db


def zone_from_db(name: str | None, *_: object) -> ZoneInfo | None:
    """Return the zone that is stored, or an UnknownZone; None where there is no crontab."""
    if name is None:
        return None
    try:
        known: ZoneInfo | None = CrontabSchedule._meta.get_field("timezone").to_python(name)
    except (ValidationError, ValueError, OSError):  # the last two for what names another file
        known = None
    return known or unknown_zone(name)


@lru_cache
def unknown_zone(name: str) -> UnknownZone:
    """Return what stands for a zone, always the same for a name."""
    with (files("tzdata") / "zoneinfo" / "UTC").open("rb") as rules:
        return UnknownZone.from_file(rules, key=name)
