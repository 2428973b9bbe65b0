"""Advice on expressions that are lines of other programs: crontab files, Quartz, AWS, Go."""

import re
from collections.abc import Sequence
from typing import Final

from scheduler_api.schedules.crontab_fields import CrontabFields, is_field_name, parse_fields
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.zone_advice import zone_names

QUOTES: Final = ("'", '"', "`")
_ZONE: Final = re.compile(r"(?:CRON_)?TZ\s*=\s*(\S+)\s+(.*)", re.DOTALL)
_AWS: Final = re.compile(r"cron\s*\((.*)\)", re.DOTALL | re.IGNORECASE)
_EVERY: Final = re.compile(
    r"(?:@?every\s+|rate\s*\(\s*)([1-9]\d{0,5})\s*(s|m|h|d)[a-z]*\s*\)?", re.IGNORECASE
)
_PERIODS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_MACRO: Final = re.compile(
    r"@?(?:every\s*)?(hourly|daily|midnight|weekly|monthly|yearly|annually)(\s.*)?",
    re.IGNORECASE | re.DOTALL,
)
_FIELD: Final = re.compile(r"[A-Za-z0-9*?,/#-]+")
_LETTERS: Final = re.compile(r"[A-Za-z]+")
_MARKS: Final = {"L", "W", "LW"}
_YEAR: Final = re.compile(r"[12][0-9]{3}([-,/][0-9]+)*")
_TIME: Final = re.compile(r"(?:at\s+)?([01]?\d|2[0-3]):([0-5]\d)", re.IGNORECASE)
_AROUND_SIGN: Final = re.compile(r"\s*([-/])\s*")
_STEP: Final = re.compile(r"(?<![-\d*])(\d+)/")
_EVERY_NTH_SECOND: Final = re.compile(r"\*(?:/([1-9]\d?))?")
_WEEKDAY_FROM_ONE: Final = re.compile(r"(?<![/#\d])[1-7](?!\d)")
_NAMES_FROM_ONE: Final = ("", "sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIVE: Final = len(CrontabFields._fields)
_WITH_SECONDS: Final = 6
_WITH_SECONDS_AND_YEAR: Final = 7


def advice_on_line(expression: str) -> str:
    """Return how to write a line of another program here; "" if its meaning is unclear.

    The advice names an expression in quotes, or a schedule in JSON, that the API accepts.
    """
    line = expression.strip().strip("".join(QUOTES)).strip()
    return _advice_on_words(line) or _advice_on_spelling(line) or _advice_on_fields(line)


def _advice_on_words(line: str) -> str:
    if every := _EVERY.fullmatch(line):
        return f"is an interval: {_interval(int(every[1]), _PERIODS[every[2].lower()])}"
    if macro := _MACRO.fullmatch(line):
        return f"is not a time alone: use '@{macro[1].lower()}'"
    if zone := _ZONE.fullmatch(line):
        return _advice_on_zone(zone[1], zone[2].strip())
    return ""


def _advice_on_spelling(line: str) -> str:
    """Return the advice on a line that is a crontab but for quotes, blanks or its form."""
    if time := _TIME.fullmatch(line):
        return f"is a time of a day: use '{int(time[2])} {int(time[1])} * * *'"
    if len(words := line.split()) == _FIVE and "?" not in words:
        return _remedy("has quotes", words)
    words = _AROUND_SIGN.sub(r"\1", line).split()
    return "" if _problem_with(words) else _remedy("has a blank beside '-' or '/'", words)


def _advice_on_fields(line: str) -> str:
    kind, fields = _read(line)
    return _remedy(kind, fields) if kind and fields is not None else kind


def _remedy(kind: str, fields: Sequence[str]) -> str:
    problem = _problem_with(fields)
    return f"{kind}; {problem}" if problem else f"{kind}: use '{' '.join(fields)}'"


def _advice_on_zone(name: str, rest: str) -> str:
    macro, fields = _MACRO.fullmatch(rest), rest.split()
    if len(fields) != _FIVE:
        fields = list(_read(rest)[1] or fields)
    problem = "" if macro else _problem_with(fields)
    if problem:
        return f"has a time zone, which belongs into timezone; {problem}"
    remedy = f"@{macro[1].lower()}" if macro else " ".join(fields)
    return f"has a time zone: use '{remedy}' with timezone '{name}'"


def _read(line: str) -> tuple[str, Sequence[str] | None]:
    """Return the kind of a line and its five fields; None if the kind is the whole advice."""
    aws = _AWS.fullmatch(line)
    words = (aws[1] if aws else line).split()
    if aws:
        return "is a cron expression of AWS", _converted(words[:_FIVE], counts_from_one=True)
    if len(words) > _FIVE and (kind := _kind_of_tail(words)):
        return kind, words[:_FIVE]
    if len(words) == _WITH_SECONDS and _ends_with_year(words):
        fields = _converted(words[:_FIVE], counts_from_one="?" in words)
        return "has a year, which crontabs do not have", fields
    if len(words) in {_WITH_SECONDS, _WITH_SECONDS_AND_YEAR}:
        return _read_seconds(words)
    if len(words) == _FIVE and "?" in words:
        return "has '?' of Quartz", _converted(words, counts_from_one=False)
    return "", ()


def _kind_of_tail(words: Sequence[str]) -> str:
    """Return the kind of the words after five fields; "" if the next one may be a field, too."""
    if words[_FIVE].startswith("#"):
        return "has a comment"
    if words[_FIVE] in zone_names():
        return "has a time zone, which belongs into timezone"
    if not all(map(_is_field, words[: _FIVE + 1])):
        return "has a command, which a periodic task names as its task"
    return ""


def _read_seconds(words: Sequence[str]) -> tuple[str, Sequence[str] | None]:
    second, *others = words
    every_nth = _EVERY_NTH_SECOND.fullmatch(second)
    if every_nth and set(others) <= {"*", "?"}:
        return f"has seconds: {_interval(int(every_nth[1] or 1), 'seconds')}", None
    is_quartz = "?" in words or len(words) == _WITH_SECONDS_AND_YEAR
    fields = _converted(others[:_FIVE], counts_from_one=is_quartz)
    if second.strip("0"):
        return "has seconds, which crontabs do not have; without them", fields
    return "begins with seconds, which crontabs do not have", fields


def _is_field(word: str) -> bool:
    """Return whether a word may be a field of a crontab, and no command."""
    names = _LETTERS.findall(word)
    return _FIELD.fullmatch(word) is not None and all(
        name in _MARKS or is_field_name(name) for name in names
    )


def _ends_with_year(words: Sequence[str]) -> bool:
    """Return whether six fields end with a year, as AWS writes them, and not with a weekday."""
    is_aws = "?" in {words[2], words[4]} and "?" not in {words[3], words[5]}
    return is_aws or _YEAR.fullmatch(words[-1]) is not None


def _converted(words: Sequence[str], *, counts_from_one: bool) -> list[str]:
    """Write `?` as `*`, `5/15` as `5-59/15`, and weekdays that count from one as names."""
    fields = ["*" if word == "?" else word for word in words]
    for index, last in enumerate(("59", "23", "31", "12")[: len(fields)]):
        fields[index] = _STEP.sub(rf"\1-{last}/", fields[index])
    if counts_from_one and len(fields) == _FIVE:
        fields[-1] = _WEEKDAY_FROM_ONE.sub(lambda day: _NAMES_FROM_ONE[int(day[0])], fields[-1])
    return fields


def _interval(count: int, period: str) -> str:
    return f'use the schedule {{"type": "interval", "every": {count}, "period": "{period}"}}'


def _problem_with(fields: Sequence[str]) -> str:
    if len(fields) != _FIVE:
        return f"it has {len(fields)} fields: use five"
    try:
        parse_fields(CrontabFields(*fields))
    except InvalidSchedule as refusal:
        return str(refusal)
    return ""
