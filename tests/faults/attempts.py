"""The judgement of runs whose workers are killed: how often each has started, and how it ended.

Pure: no clock, no database, no processes.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.faults.checker import Report, Verdict
from tests.faults.evidence import Definition

NOT_ENDED = {"pending", "queued", "running"}
SUCCEEDED, LOST, MISSED = "succeeded", "lost", "missed"


@dataclass(frozen=True, kw_only=True)
class AttemptedRun:
    """A row of the ledger: a run of one slot, and how often it has started."""

    id: str
    name: str
    state: str
    slot_at: datetime
    attempts: int
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """That a run has begun, or has come to its end, in a worker."""

    id: str
    name: str
    at: datetime
    is_end: bool = False


@dataclass
class RunMarks:
    """Those of one run."""

    begun: list[datetime] = field(default_factory=list)
    ended: list[datetime] = field(default_factory=list)


def judge_attempts(
    definitions: Sequence[Definition],
    rows: Iterable[AttemptedRun],
    marks: Iterable[Mark],
    *,
    max_attempts: Mapping[str, int],
) -> Report:
    """Judge runs that are recorded; `max_attempts` is by the name of the periodic task."""
    report = Report()
    marks_of_run = marks_by_run(marks)
    rows_of_slot: dict[tuple[str, datetime], list[AttemptedRun]] = defaultdict(list)
    for row in rows:
        rows_of_slot[row.name, row.slot_at].append(row)
    for definition in definitions:
        for slot in definition.slots:
            found = rows_of_slot.pop((definition.name, slot), [])
            if slot >= definition.until and not found:
                break
            report.slots += 1
            slot_marks = [marks_of_run.pop(row.id, RunMarks()) for row in found]
            about = f"{definition.name} of {slot}"
            if len(found) != 1:
                verdict = Verdict.DOUBLED if found else Verdict.LOST
                report.record(verdict, f"{about}: {len(found)} rows")
                continue
            allowed = max_attempts[definition.name]
            verdict, reason = verdict_of(found[0], slot_marks[0], allowed=allowed)
            report.record(verdict, f"{about}: {reason}: {found[0]}, {slot_marks[0]}")
            report.repeated += max(0, found[0].attempts - 1)
    for name, slot in rows_of_slot:
        report.record(Verdict.SPURIOUS, f"a row of {name} of {slot}")
    for run_id in marks_of_run:
        report.record(Verdict.SPURIOUS, f"{run_id} ran, and has no row")
    return report


def verdict_of(  # noqa: PLR0911 - a table of cases
    row: AttemptedRun, marks: RunMarks, *, allowed: int
) -> tuple[Verdict, str]:
    """Return what became of a run that may start so often, and why it is so."""
    if row.state in NOT_ENDED:
        return Verdict.LOST, "it has not ended"
    if row.state == MISSED and row.reason and not marks.begun:
        return Verdict.MISSED, ""
    if len(marks.begun) > min(allowed, row.attempts):
        return Verdict.DOUBLED, f"started {len(marks.begun)} times"
    if attempts_overlap(marks):
        return Verdict.DOUBLED, "it started again while it ran"
    if row.state == SUCCEEDED:
        return (Verdict.RIGHT, "") if marks.ended else (Verdict.SPURIOUS, "it did not end")
    # One that may start once is not sent again where nobody knows whether it has.
    if row.state == LOST and row.reason and max(row.attempts, 1) >= allowed:
        return Verdict.GIVEN_UP, ""
    return Verdict.LOST, f"after {row.attempts} attempts of {allowed}"


def attempts_overlap(marks: RunMarks) -> bool:
    """Tell whether an attempt began before the one before it had come to its end.

    Of one that was killed nobody knows when: only where all have come to their ends.
    """
    begun, ended = sorted(marks.begun), sorted(marks.ended)
    if len(begun) != len(ended):
        return False
    return any(later < end for later, end in zip(begun[1:], ended, strict=False))


def judge_marks(marks: Iterable[Mark]) -> Report:
    """Judge runs that nobody records: each is to begin once, and to come to its end."""
    report = Report()
    for run_id, found in marks_by_run(marks).items():
        report.slots += 1
        if len(found.begun) > 1:
            report.record(Verdict.DOUBLED, f"{run_id} began {len(found.begun)} times")
        elif not found.ended:
            report.record(Verdict.LOST, f"{run_id} did not come to its end")
        else:
            report.record(Verdict.RIGHT)
    return report


def marks_by_run(marks: Iterable[Mark]) -> dict[str, RunMarks]:
    found: dict[str, RunMarks] = defaultdict(RunMarks)
    for mark in marks:
        (found[mark.id].ended if mark.is_end else found[mark.id].begun).append(mark.at)
    return found
