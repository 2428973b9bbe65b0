"""The table of `make faults`: what was said of both arms of each fault."""

from collections.abc import Iterable

from tests.faults.checker import Verdict
from tests.faults.trial import Outcome

COLUMNS = [
    Verdict.RIGHT,
    Verdict.MISSED,
    Verdict.GIVEN_UP,
    Verdict.UNROUTABLE,
    Verdict.LOST,
    Verdict.DOUBLED,
    Verdict.EARLY,
    Verdict.LATE,
    Verdict.SPURIOUS,
]
HEAD = [
    "fault",
    "seed",
    "arm",
    "slots",
    *(each.value for each in COLUMNS),
    "repeated",
    "latest, s",
]


def table(rows: list[list[str]]) -> str:
    """Return a table in Markdown, a line per fault, seed and arm."""
    lines = [HEAD, ["--"] * 3 + ["--:"] * (len(HEAD) - 3), *sorted(rows)]
    widths = [max(len(line[number]) for line in lines) for number in range(len(HEAD))]
    return "\n".join(
        f"| {' | '.join(word.ljust(width) for word, width in zip(line, widths, strict=True))} |"
        for line in lines
    )


def rows(outcomes: Iterable[Outcome]) -> list[list[str]]:
    return [row(outcome) for outcome in outcomes]


def row(outcome: Outcome) -> list[str]:
    report = outcome.report
    counts = [str(report.counts[verdict]) for verdict in COLUMNS]
    lateness = f"{report.max_lateness.total_seconds():.2f}"
    return [
        outcome.fault,
        str(outcome.seed),
        outcome.arm,
        str(report.slots),
        *counts,
        str(report.repeated),
        lateness,
    ]
