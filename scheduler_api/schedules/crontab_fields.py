"""The five fields of a crontab: parse them strictly, and normalize them for stock beat.

Celery's parser defines the meaning of a field, but it is lenient: it ignores any text after a
prefix that it understands ("1-5-7" is "1-5", "*/5/x" is "*/5", "monkey" is "mon"), accepts
everything that int() accepts ("1_0", Arabic digits) and any name in any field. A strict grammar
therefore checks the text first. Blanks around commas and steps longer than the field ("*/60") are
common in existing projects, and have the meaning that Celery gives them.
"""

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

from celery.schedules import crontab_parser

from scheduler_api.schedules.crontab_advice import advice_on
from scheduler_api.schedules.errors import InvalidSchedule

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")

_PART = re.compile(r"(?:\*|(?P<start>\w+)(?:-(?P<end>\w+))?)(?:/(?P<step>[0-9]+))?", re.ASCII)
_EVERY_NTH_HOUR = re.compile(r"\*(?:/[0-9]+)?")
_HOURS_OF_A_DAY = 24
_LONGEST_TEXT = 240
_SHORTEST_NAME = 3
_SHORTEST_RANGE = 3


class CrontabFields(NamedTuple):
    """The text of the five fields, in their standard order."""

    minute: str = "*"
    hour: str = "*"
    day_of_month: str = "*"
    month_of_year: str = "*"
    day_of_week: str = "*"


@dataclass(frozen=True, kw_only=True, slots=True)
class CrontabValues:
    """The values that the five fields match, as sorted numbers; Sunday is 0.

    A day must be in `days_of_month` AND in `weekdays`, as in Celery. cron itself combines them
    with OR.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days_of_month: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    follows_elapsed_time: bool
    """The rule for clock changes: elapsed time if the hour field means "each n-th hour".

    It does if it matches all hours, in any spelling, or is `*/n` with more than one hour. All
    other hours are fixed wall times.
    """


@dataclass(frozen=True, kw_only=True)
class _Field:
    name: str
    first: int
    last: int
    column: int
    """Width of django-celery-beat's column, in characters."""
    highest: int
    """The highest number accepted: 7 is also Sunday, although Celery knows only 0."""
    numbers: str
    """A pattern of the numbers accepted."""
    names: tuple[str, ...] = ()

    def refusal(self, problem: str, *, code: str) -> InvalidSchedule:
        return InvalidSchedule(f"{self.name} {problem}", field=self.name, code=code)


_FIELDS = (
    _Field(name="minute", first=0, last=59, highest=59, column=240, numbers="[0-5]?[0-9]"),
    _Field(name="hour", first=0, last=23, highest=23, column=96, numbers="1?[0-9]|2[0-3]"),
    _Field(
        name="day_of_month",
        first=1,
        last=31,
        highest=31,
        column=124,
        numbers="[1-9]|[12][0-9]|3[01]",
    ),
    _Field(
        name="month_of_year",
        first=1,
        last=12,
        highest=12,
        column=64,
        numbers="[1-9]|1[0-2]",
        names=_MONTHS,
    ),
    _Field(
        name="day_of_week",
        first=0,
        last=6,
        highest=7,
        column=64,
        numbers="[0-7]",
        names=_WEEKDAYS,
    ),
)


@lru_cache(maxsize=4096)
def parse_fields(fields: CrontabFields) -> CrontabValues:
    """Return the values that the fields match.

    Raises:
        InvalidSchedule: a field is invalid, or no year has such a day.

    """
    minutes, hours, days, months, weekdays = (
        _read_field(field, text) for field, text in zip(_FIELDS, fields, strict=True)
    )
    leap_year = 2000
    if days[0] > max(monthrange(leap_year, month)[1] for month in months):
        raise InvalidSchedule(
            f"day_of_month '{fields.day_of_month}' does not exist in month_of_year "
            f"'{fields.month_of_year}', so the schedule would never run: use a day that exists, "
            "for example '28'",
            field="day_of_month",
            code="never_fires",
        )
    return CrontabValues(
        minutes=minutes,
        hours=hours,
        days_of_month=days,
        months=months,
        weekdays=weekdays,
        follows_elapsed_time=len(hours) == _HOURS_OF_A_DAY
        or (len(hours) > 1 and _EVERY_NTH_HOUR.fullmatch(fields.hour.strip()) is not None),
    )


def field_patterns() -> CrontabFields:
    """Return a regular expression for each field.

    All valid texts match it, and few invalid ones do.
    """
    return CrontabFields(*map(_pattern, _FIELDS))


def normalize_fields(fields: CrontabFields) -> CrontabFields:
    """Return an equivalent spelling that every reader of the database accepts.

    Stock Celery refuses 7 for Sunday. django-celery-beat's validators refuse long names
    ("monday"), ranges that wrap around ("22-2"), ranges from a name to a number ("mon-5"), steps
    longer than the field ("*/60") and blanks. Its columns have a limited width. A field that all
    of them accept stays as it is.
    """
    parse_fields(fields)
    texts = (",".join(_parts(text)) for text in fields)
    return CrontabFields(
        *(
            text if _stock_takes(field, text) else _spelled(_read_field(field, text))
            for field, text in zip(_FIELDS, texts, strict=True)
        )
    )


def is_field_name(word: str) -> bool:
    """Return whether a word is a name of a month or a weekday, or the start of one."""
    return any(_abbreviates(word, name) for name in (*_MONTHS, *_WEEKDAYS))


def consecutive_runs(values: Iterable[int]) -> Iterator[list[int]]:
    """Split sorted numbers into consecutive runs: 1 2 3 7 8 gives [1, 2, 3] and [7, 8]."""
    run: list[int] = []
    for value in values:
        if run and value != run[-1] + 1:
            yield run
            run = []
        run.append(value)
    yield run


def _pattern(field: _Field) -> str:
    value = rf"0*({field.numbers})" if "|" in field.numbers else f"0*{field.numbers}"
    if field.names:
        value = f"({value}|[A-Za-z]{{3,9}})"
    part = rf"((\*|{value}-{value})(/0*[1-9][0-9]*)?|{value})"
    return rf"^\s*{part}(\s*,\s*{part})*\s*$"


def _read_field(field: _Field, text: str) -> tuple[int, ...]:
    if not text.strip():
        raise field.refusal("is empty: use '*' for every value", code="empty")
    if len(text) > _LONGEST_TEXT:
        raise field.refusal(
            f"is {len(text)} characters long: use at most {_LONGEST_TEXT}", code="too_long"
        )
    try:
        in_numbers = ",".join(_in_numbers(field, part) for part in _parts(text))
    except InvalidSchedule as refusal:
        advice = advice_on(text, field=field.name, is_valid=partial(_is_valid, field))
        if not advice:
            raise
        raise field.refusal(f"'{text}' {advice}", code=refusal.code) from refusal
    parser = crontab_parser(field.last - field.first + 1, field.first)
    return tuple(sorted(parser.parse(in_numbers)))


def _is_valid(field: _Field, text: str) -> bool:
    try:
        for part in _parts(text):
            _in_numbers(field, part)
    except InvalidSchedule:
        return False
    return True


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _in_numbers(field: _Field, part: str) -> str:
    """Validate the text between two commas; return it in Celery's syntax, without names."""
    start, end, step = _split(field, part)
    if step is not None and not step.strip("0"):
        raise field.refusal(
            f"'{part}' has a step of zero: use 1 or more, for example '*/2'",
            code="step_out_of_range",
        )
    if start is None:
        values = "*"
    elif end is None:
        values = str(_sunday_as_zero(field, _number(field, start)))
    else:
        first, last = _bounds(field, start, end)
        values = f"{first}-{last}"
    return values if step is None else f"{values}/{step}"


def _split(field: _Field, part: str) -> tuple[str | None, str | None, str | None]:
    """Split "1-5/2" into start, end and step; "*" has no start."""
    if not part:
        raise field.refusal("has no value beside a comma: remove the comma", code="malformed")
    match = _PART.fullmatch(part)
    if match is None:
        raise field.refusal(
            f"'{part}' is malformed: use '*', a value, a range such as "
            f"'{field.first}-{field.last}', a step after a star or a range such as '*/2', "
            "or a list of these separated by commas",
            code="malformed",
        )
    start, end, step = match.group("start", "end", "step")
    if start and step and not end:
        raise field.refusal(
            f"'{part}' has a step but no range: use '{start}-{field.last}/{step}'",
            code="malformed",
        )
    return start, end, step


def _number(field: _Field, word: str) -> int:
    if word.isdecimal():
        number = int(word)
        if not field.first <= number <= field.highest:
            raise field.refusal(
                f"'{word}' is out of range: use {field.first} to {field.highest}",
                code="out_of_range",
            )
        return number
    for number, name in enumerate(field.names, start=field.first):
        if _abbreviates(word, name):
            return number
    examples = f" or names such as '{field.names[0][:_SHORTEST_NAME]}'" if field.names else ""
    raise field.refusal(
        f"'{word}' is malformed: use numbers from {field.first} to {field.highest}{examples}",
        code="malformed",
    )


def _abbreviates(word: str, name: str) -> bool:
    return len(word) >= _SHORTEST_NAME and name.startswith(word.lower())


def _bounds(field: _Field, start: str, end: str) -> tuple[int, int]:
    """Return both ends of a range. A range with the smaller end last wraps, as in Celery."""
    first, last = _number(field, start), _number(field, end)
    if first == 0 and last > field.last:  # "0-7" is the whole week, not only Sunday
        return 0, field.last
    return _sunday_as_zero(field, first), _sunday_as_zero(field, last)


def _sunday_as_zero(field: _Field, number: int) -> int:
    """Return Celery's number. Only Sunday, written as 7, exceeds the last of its field."""
    return number if number <= field.last else 0


def _stock_takes(field: _Field, text: str) -> bool:
    return len(text) <= field.column and all(
        _stock_takes_part(field, part) for part in text.split(",")
    )


def _stock_takes_part(field: _Field, part: str) -> bool:
    start, end, step = _split(field, part)
    words = [word for word in (start, end) if word is not None]
    numbers = [_number(field, word) for word in words]
    wraps_around = numbers != sorted(numbers)
    from_name_to_number = [word.isalpha() for word in words] == [True, False]
    steps_over = step is not None and int(step) > field.last
    return not (wraps_around or from_name_to_number or steps_over) and all(
        len(word) == _SHORTEST_NAME if word.isalpha() else number <= field.last
        for word, number in zip(words, numbers, strict=True)
    )


def _spelled(values: tuple[int, ...]) -> str:
    """Return the shortest spelling of the values; it fits the column for every set."""
    return ",".join(
        ",".join(map(str, run)) if len(run) < _SHORTEST_RANGE else f"{run[0]}-{run[-1]}"
        for run in consecutive_runs(values)
    )
