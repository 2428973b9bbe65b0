"""Advice on schedules in the shapes of other APIs: nested, without a type, or as a text."""

import json
from collections.abc import Mapping
from typing import Any, Final

from rest_framework.exceptions import ErrorDetail

from scheduler_api.schedules.serializers import INLINE_SERIALIZERS

_KIND_OF_FIELD: Final = {
    "every": "interval",
    "period": "interval",
    **dict.fromkeys(
        ("minute", "hour", "day_of_month", "month_of_year", "day_of_week", "expression"), "crontab"
    ),
    "event": "solar",
    "latitude": "solar",
    "longitude": "solar",
    "clocked_time": "clocked",
}
_TEXT_FIELD: Final = {"crontab": "expression", "clocked": "clocked_time"}
_LONGEST_SHOWN = 300


def advice_on_shape(data: object, kind: str = "") -> str:
    """Return the schedule that a value of another shape means, as `send {...}`; "" if unknown.

    The schedule that it names is valid. If a text is a schedule but for a mistake, the advice
    names the mistake. `kind` is that of the field that had the value.
    """
    schedule = _in_shape(data, kind)
    if schedule is None or schedule.get("type") not in INLINE_SERIALIZERS:
        return ""
    serializer = INLINE_SERIALIZERS[schedule["type"]](data=schedule)
    if not serializer.is_valid():
        name = _TEXT_FIELD.get(schedule["type"], "")
        mistakes = serializer.errors.get(name, [])
        return _first(mistakes) if isinstance(data, str) and name in schedule else ""
    text = json.dumps(schedule)
    return f"send {text}" if len(text) <= _LONGEST_SHOWN else ""


def _first(mistakes: list[ErrorDetail]) -> str:
    return str(mistakes[0]).rstrip(".")[:_LONGEST_SHOWN] if mistakes else ""


def _in_shape(data: object, kind: str) -> dict[str, Any] | None:
    """Return a value as an inline schedule, not validated; None if it looks like none."""
    match data:
        case bool():
            return None
        case str():
            kind = kind or "crontab"
            return {"type": kind, _TEXT_FIELD[kind]: data} if kind in _TEXT_FIELD else None
        case int():
            return {"type": "interval", "every": data, "period": "seconds"}
        case Mapping():
            if len(data) == 1 and not kind:
                ((name, inner),) = data.items()
                if name in INLINE_SERIALIZERS:
                    return _in_shape(inner, str(name))
            kinds = {_KIND_OF_FIELD[name] for name in data if name in _KIND_OF_FIELD}
            named = kind or (kinds.pop() if len(kinds) == 1 else "")
            return {"type": named, **{str(name): data[name] for name in data if name != "type"}}
    return None
