"""Results of the benchmarks: as Markdown tables, and as JSON for the plots."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import describe

FOLDER = Path(__file__).parent / "results"


def save(name: str, results: Any) -> None:
    """Store results under a name, with the day and the machine."""
    FOLDER.mkdir(exist_ok=True)
    whole = {"day": f"{datetime.now(UTC):%Y-%m-%d}", "machine": describe(), "results": results}
    (FOLDER / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n")


def kept(name: str) -> Any:
    """Return the stored results of a name: `day`, `machine` and `results`."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table with all columns but the first aligned to the right."""
    print(f"\n| {' | '.join(head)} |")
    print(f"|---|{'--:|' * (len(head) - 1)}")
    for row in rows:
        print(f"| {' | '.join(map(shown, row))} |")
    print()


def shown(value: object) -> str:
    """Return a number with its significant digits; an empty string for None."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3  # noqa: PLR2004
    return f"{value:,.{digits}f}"
