"""The summary table of `make faults`: verdicts on both arms of each fault."""

from collections.abc import Iterable

from tests.faults.checker import Verdict
from tests.faults.trial import TrialResult

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
HEADER = [
    "fault",
    "seed",
    "arm",
    "slots",
    *(each.value for each in COLUMNS),
    "repeated",
    "latest, s",
]


def render_table(rows: list[list[str]]) -> str:
    """Return a Markdown table with a line for each fault, seed and arm."""
    lines = [HEADER, ["--"] * 3 + ["--:"] * (len(HEADER) - 3), *sorted(rows)]
    widths = [max(len(line[number]) for line in lines) for number in range(len(HEADER))]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    )


def result_rows(results: Iterable[TrialResult]) -> list[list[str]]:
    return [result_row(result) for result in results]


def result_row(result: TrialResult) -> list[str]:
    report = result.report
    counts = [str(report.counts[verdict]) for verdict in COLUMNS]
    lateness = f"{report.max_lateness.total_seconds():.2f}"
    return [
        result.fault,
        str(result.seed),
        result.arm,
        str(report.slots),
        *counts,
        str(report.repeated),
        lateness,
    ]
