"""Parse a crontab on one line: "*/5 9-17 * * mon-fri" or "@daily"."""

from typing import Final

from scheduler_api.schedules.crontab_fields import CrontabFields
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.pasted_lines import QUOTES, advice_on_line

_MACROS: Final = {
    "@hourly": CrontabFields("0"),
    "@daily": CrontabFields("0", "0"),
    "@midnight": CrontabFields("0", "0"),
    "@weekly": CrontabFields("0", "0", day_of_week="0"),
    "@monthly": CrontabFields("0", "0", "1"),
    "@yearly": CrontabFields("0", "0", "1", "1"),
    "@annually": CrontabFields("0", "0", "1", "1"),
}


def parse_expression(expression: str) -> CrontabFields:
    """Split an expression into its five fields, without validating them: Crontab does.

    Raises:
        InvalidSchedule: it has no five fields, or names an unknown macro.

    """
    fields = expression.split()
    if len(fields) != len(CrontabFields._fields):
        fields = ",".join(part.strip() for part in expression.split(",")).split()
    if len(fields) == 1 and fields[0].startswith("@"):
        return _macro(fields[0])
    is_plain = "?" not in fields and not expression.strip().startswith(QUOTES)
    if len(fields) == len(CrontabFields._fields) and is_plain:
        return CrontabFields(*fields)
    count = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
    advice = advice_on_line(expression) or (
        f"has {count}: use five, {' '.join(CrontabFields._fields)}, "
        "for example '*/5 * * * *'; seconds and years are not supported"
    )
    raise InvalidSchedule(
        f"expression '{expression}' {advice}", field="expression", code="wrong_number_of_fields"
    )


def _macro(name: str) -> CrontabFields:
    if name == "@reboot":
        raise InvalidSchedule(
            "expression '@reboot' is not a time: use a crontab such as '@daily'",
            field="expression",
            code="reboot",
        )
    try:
        return _MACROS[name.lower()]
    except KeyError:
        advice = advice_on_line(name) or f"is unknown: use one of {', '.join(_MACROS)}"
        raise InvalidSchedule(
            f"expression '{name}' {advice}", field="expression", code="unknown_macro"
        ) from None
