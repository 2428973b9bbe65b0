"""Plots of the results in benchmarks/results, as SVG for the documentation.

    python -m benchmarks.plots

Both axes are logarithmic: a level line means the same cost with any number of tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

from benchmarks.results import kept

IMAGES = Path(__file__).parent.parent / "docs" / "images"
WIDTH, HEIGHT = 720, 420
LEFT, TOP, BOTTOM = 72, 72, 56
CHARACTER_WIDTH = 7  # pixels, approximately
LABEL_HEIGHT = 16
FONT = "font-family='Helvetica, Arial, sans-serif'"
INK, PALE, GRID = "#1f2933", "#616e7c", "#e4e7eb"
# Each side has the same colour in both plots.
LOOKS = {
    "ours": ("#0967d2", ""),
    "ours, two processes": ("#47a3f3", ""),
    "raw": ("#7b8794", "6 4"),
    "stock": ("#cf1124", ""),
    "RedBeat": ("#de911d", ""),
}
UNITS = {3: "k", 6: "M"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """The values of one side by number of tasks."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A logarithmic axis between two pixels."""

    first: int
    last: int
    start: float
    end: float

    def at(self, value: float) -> float:
        part = (log10(value) - self.first) / (self.last - self.first)
        return self.start + part * (self.end - self.start)

    @property
    def powers(self) -> range:
        return range(self.first, self.last + 1)


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    dispatch = kept("dispatch")
    write(
        "beat-dispatch",
        title="Messages per second, all tasks due at once",
        subtitle=f"ours: confirmed by RabbitMQ, and in the ledger; {origin(dispatch)}",
        lines=lines_of(dispatch["results"], "rate", names=LOOKS),
        unit="messages per second",
    )
    edits = kept("edits")
    write(
        "beat-edits",
        title="What one changed periodic task costs beat",
        subtitle=f"milliseconds of a core; {origin(edits)}",
        lines=lines_of(edits["results"], "edit_cpu_ms", names=("ours", "stock")),
        unit="ms of a core per edit",
    )


def origin(whole: dict[str, Any]) -> str:
    return f"{whole['machine']}, {whole['day']}"


def lines_of(results: dict[str, Any], key: str, *, names: Sequence[str]) -> list[Line]:
    """Return a line for each measured side."""
    lines = []
    for name in names:
        points = [
            (int(tasks), sides[name][key]) for tasks, sides in results.items() if name in sides
        ]
        if points:
            lines.append(Line(name=name, points=sorted(points)))
    return lines


def write(name: str, *, title: str, subtitle: str, lines: Sequence[Line], unit: str) -> None:
    """Draw lines over the number of tasks."""
    tasks, values = zip(*(point for line in lines for point in line.points), strict=True)
    right = WIDTH - 24 - CHARACTER_WIDTH * max(len(line.name) for line in lines)
    x = axis(tasks, LEFT, right)
    y = axis(values, HEIGHT - BOTTOM, TOP)
    parts = [
        (
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' "
            f"role='img' aria-label='{escape(title)}' {FONT} font-size='13'>"
        ),
        f"<rect width='{WIDTH}' height='{HEIGHT}' rx='8' fill='white'/>",
        text(LEFT, 30, title, size=17, fill=INK),
        text(LEFT, 50, subtitle, size=12),
    ]
    for power in y.powers:
        at = y.at(10**power)
        parts += [
            f"<path d='M{LEFT} {at:.1f}H{right}' stroke='{GRID}'/>",
            text(LEFT - 10, at + 4, shown(power), anchor="end"),
        ]
    for power in x.powers:
        at = x.at(10**power)
        parts += [
            f"<path d='M{at:.1f} {TOP}V{HEIGHT - BOTTOM}' stroke='{GRID}'/>",
            text(at, HEIGHT - BOTTOM + 20, shown(power), anchor="middle"),
        ]
    parts += [
        text((LEFT + right) / 2, HEIGHT - 14, "periodic tasks", anchor="middle"),
        (
            f"<g transform='translate(18 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)'>"
            f"{text(0, 0, unit, anchor='middle')}</g>"
        ),
    ]
    for line in lines:
        parts += drawn(line, x, y)
    parts += labels(lines, x, y)
    (IMAGES / f"{name}.svg").write_text("\n".join([*parts, "</svg>"]) + "\n")


def axis(values: Sequence[float], start: float, end: float) -> Axis:
    """Return an axis from one power of ten to another that includes all values."""
    first, last = floor(log10(min(values))), ceil(log10(max(values)))
    return Axis(first=first, last=max(last, first + 1), start=start, end=end)


def drawn(line: Line, x: Axis, y: Axis) -> list[str]:
    colour, dashes = LOOKS[line.name]
    points = [(x.at(tasks), y.at(value)) for tasks, value in line.points]
    path = " ".join(f"{across:.1f},{up:.1f}" for across, up in points)
    return [
        (
            f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2.5' "
            f"stroke-dasharray='{dashes}' stroke-linejoin='round'/>"
        ),
        *(
            f"<circle cx='{across:.1f}' cy='{up:.1f}' r='4' fill='{colour}'/>"
            for across, up in points
        ),
    ]


def labels(lines: Sequence[Line], x: Axis, y: Axis) -> list[str]:
    """Label each line at its end; labels that would overlap are moved apart."""
    ends = sorted(
        (y.at(line.points[-1][1]) + 4, x.at(line.points[-1][0]), line.name) for line in lines
    )
    parts, lowest = [], 0.0
    for up, across, name in ends:
        lowest = max(up, lowest + LABEL_HEIGHT)
        parts.append(text(across + 10, lowest, name, fill=LOOKS[name][0]))
    return parts


def text(
    x: float, y: float, words: str, *, size: int = 13, anchor: str = "start", fill: str = PALE
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' "
        f"fill='{fill}'>{escape(words)}</text>"
    )


def shown(power: int) -> str:
    """Return a power of ten in short form: 100, 10k, 1M."""
    if power < 0:
        return f"{10**power:.{-power}f}"
    thousands = power // 3 * 3
    return f"{10 ** (power - thousands)}{UNITS.get(thousands, '')}"


if __name__ == "__main__":
    main()
