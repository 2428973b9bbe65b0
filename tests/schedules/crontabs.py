"""Strategies that generate crontabs, and a short way to write one in a table."""

from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from scheduler_api.schedules.crontab_fields import CrontabFields
from scheduler_api.schedules.expression import parse_expression
from scheduler_api.schedules.kinds import Crontab

UTC_ZONE = ZoneInfo("UTC")


def crontab(expression: str, zone: str = "UTC") -> Crontab:
    return Crontab(**parse_expression(expression)._asdict(), timezone=ZoneInfo(zone))


def field_texts(first: int, last: int, *names: str) -> st.SearchStrategy[str]:
    """Generate every syntax of a field: stars, values, ranges (also wrapping), steps, lists.

    Steps may be longer than the field.
    """
    words = st.one_of(
        st.integers(first, last).map(str),
        *([st.sampled_from(names)] if names else []),
    )
    steps = st.integers(1, last + 10).map("/{}".format)
    ranges = st.tuples(words, words).map("-".join)
    stepped = st.tuples(st.one_of(st.just("*"), ranges), steps).map("".join)
    part = st.one_of(st.just("*"), words, ranges, stepped)
    return st.lists(part, min_size=1, max_size=3).map(",".join)


MONTHS = ("jan", "FEB", "Mar", "june", "september", "dec")
WEEKDAYS = ("sun", "MON", "Tue", "wednesday", "thu", "friday", "sat")

all_fields = st.builds(
    CrontabFields,
    minute=field_texts(0, 59),
    hour=field_texts(0, 23),
    day_of_month=field_texts(1, 31),
    month_of_year=field_texts(1, 12, *MONTHS),
    day_of_week=field_texts(0, 6, *WEEKDAYS),
)
