"""The checker for runs on killed workers: how often each run started, and how it ended.

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
    """A row of the ledger: the run of one slot, with its number of attempts."""

    id: str
    name: str
    state: str
    slot_at: datetime
    attempts: int
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A worker's record that a run began or ended."""

    id: str
    name: str
    at: datetime
    is_end: bool = False


@dataclass
class RunMarks:
    """The marks of one run."""

    begun: list[datetime] = field(default_factory=list)
    ended: list[datetime] = field(default_factory=list)


def judge_attempts(
    definitions: Sequence[Definition],
    rows: Iterable[AttemptedRun],
    marks: Iterable[Mark],
    *,
    max_attempts: Mapping[str, int],
) -> Report:
    """Judge runs with rows in the ledger; `max_attempts` is keyed by periodic task name."""
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
            about = f"{definition.name} at {slot}"
            if len(found) != 1:
                verdict = Verdict.DOUBLED if found else Verdict.LOST
                report.record(verdict, f"{about}: {len(found)} rows")
                continue
            allowed = max_attempts[definition.name]
            verdict, reason = verdict_of(found[0], slot_marks[0], allowed=allowed)
            report.record(verdict, f"{about}: {reason}: {found[0]}, {slot_marks[0]}")
            report.repeated += max(0, found[0].attempts - 1)
    for name, slot in rows_of_slot:
        report.record(Verdict.SPURIOUS, f"{name} has a row, but no slot at {slot}")
    for run_id in marks_of_run:
        report.record(Verdict.SPURIOUS, f"{run_id} ran but has no row")
    return report


def verdict_of(  # noqa: PLR0911 - a table of cases
    row: AttemptedRun, marks: RunMarks, *, allowed: int
) -> tuple[Verdict, str]:
    """Return the verdict on a run that may start `allowed` times, and the reason."""
    if row.state in NOT_ENDED:
        return Verdict.LOST, "the run has not ended"
    if row.state == MISSED and row.reason and not marks.begun:
        return Verdict.MISSED, ""
    if len(marks.begun) > min(allowed, row.attempts):
        return Verdict.DOUBLED, f"started {len(marks.begun)} times"
    if attempts_overlap(marks):
        return Verdict.DOUBLED, "an attempt began before the previous one ended"
    if row.state == SUCCEEDED:
        return (
            (Verdict.RIGHT, "")
            if marks.ended
            else (Verdict.SPURIOUS, "succeeded without an end mark")
        )
    # A run with one allowed attempt is not sent again if it may have started.
    if row.state == LOST and row.reason and max(row.attempts, 1) >= allowed:
        return Verdict.GIVEN_UP, ""
    return Verdict.LOST, f"{row.state} after {row.attempts} of {allowed} attempts"


def attempts_overlap(marks: RunMarks) -> bool:
    """Return whether an attempt began before the previous one ended.

    False if any attempt has no end mark: a killed attempt leaves none, so its end is unknown.
    """
    begun, ended = sorted(marks.begun), sorted(marks.ended)
    if len(begun) != len(ended):
        return False
    return any(later < end for later, end in zip(begun[1:], ended, strict=False))


def judge_marks(marks: Iterable[Mark]) -> Report:
    """Judge runs without a ledger: each must begin once, and end."""
    report = Report()
    for run_id, found in marks_by_run(marks).items():
        report.slots += 1
        if len(found.begun) > 1:
            report.record(Verdict.DOUBLED, f"{run_id} began {len(found.begun)} times")
        elif not found.ended:
            report.record(Verdict.LOST, f"{run_id} did not end")
        else:
            report.record(Verdict.RIGHT)
    return report


def marks_by_run(marks: Iterable[Mark]) -> dict[str, RunMarks]:
    found: dict[str, RunMarks] = defaultdict(RunMarks)
    for mark in marks:
        (found[mark.id].ended if mark.is_end else found[mark.id].begun).append(mark.at)
    return found
