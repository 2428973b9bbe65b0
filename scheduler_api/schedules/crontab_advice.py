"""Advice on crontab fields in the syntax of other programs."""

import re
from collections.abc import Callable

_LIST = re.compile(r"\[.*\]|\{.*\}|\(.*\)", re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}()]|,\s*(?=\))")
_AROUND_SIGN = re.compile(r"\s*([-/])\s*")
_BETWEEN_VALUES = re.compile(r"(?<=\w)\s+(?=\w)")
_NTH_WEEKDAY = re.compile(r"(\w+)#([1-5])", re.ASCII)
_LAST_OR_NEAREST = re.compile(r"(\w*-)?L(W|-\d+)?|\w+(L|W)|\d+W", re.ASCII | re.IGNORECASE)
_HASHED = re.compile(r"H(\(.*\))?(/\d+)?", re.ASCII)
_FIELDS_OF_A_LINE = 5
_DAYS_OF_A_WEEK = 7
_LAST_DAY = 31


def advice_on(text: str, *, field: str, is_valid: Callable[[str], bool]) -> str:
    """Return how to correct an invalid field; "" if its syntax is that of no known program.

    If the advice names a text to use, `is_valid` is true for it.
    """
    text = text.strip()
    if text.startswith("@") or len(text.split()) >= _FIELDS_OF_A_LINE:
        return "is a whole crontab: send it as expression"
    for problem, remedy in (
        ("has '?' of Quartz", text.replace("?", "*")),
        ("is a list of Python", _BRACKETS.sub("", text) if _LIST.fullmatch(text) else text),
        ("has a blank beside '-' or '/'", _AROUND_SIGN.sub(r"\1", text)),
        ("has a blank between values", _BETWEEN_VALUES.sub(",", text)),
    ):
        if remedy != text and is_valid(remedy):
            return f"{problem}: use '{remedy}'"
    return _advice_on_extensions(text, field=field, is_valid=is_valid)


def _advice_on_extensions(text: str, *, field: str, is_valid: Callable[[str], bool]) -> str:
    if _HASHED.fullmatch(text):
        return "uses H of Jenkins, which Celery does not have: use '*' or values"
    if (nth := _NTH_WEEKDAY.fullmatch(text)) and field == "day_of_week" and is_valid(nth[1]):
        last = int(nth[2]) * _DAYS_OF_A_WEEK
        days = f"{last - _DAYS_OF_A_WEEK + 1}-{min(last, _LAST_DAY)}"
        return (
            f"uses '#' of Quartz, which Celery does not have: use '{nth[1]}' with day_of_month "
            f"'{days}', since both fields must match"
        )
    if field.startswith("day_") and _LAST_OR_NEAREST.fullmatch(text):
        return "uses L or W of Quartz, which Celery does not have: use values"
    return ""
