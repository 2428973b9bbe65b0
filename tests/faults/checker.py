"""The checker: gives a verdict on each slot, and finds runs that belong to no slot.

Pure: no clock, no database, no processes.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from tests.faults.evidence import UNROUTABLE, Definition, Effect, Row, Tolerance
from tests.faults.policies import covered_slots, may_miss, may_send

MAX_FAILURES = 40


class Verdict(Enum):
    """The result for a slot. `SPURIOUS` is for a run or row without a slot, or against policy."""

    RIGHT = "right"
    MISSED = "missed"  # as its policy requires, recorded in a row
    GIVEN_UP = "given up"  # after all allowed attempts, recorded in a row
    UNROUTABLE = "unroutable"  # as expected, recorded in a row
    LOST = "lost"
    DOUBLED = "doubled"
    EARLY = "early"
    LATE = "late"
    SPURIOUS = "spurious"


ACCEPTABLE = {Verdict.RIGHT, Verdict.MISSED, Verdict.GIVEN_UP, Verdict.UNROUTABLE}


@dataclass
class Report:
    """The count of each verdict, and the reasons for failures."""

    counts: Counter[Verdict] = field(default_factory=Counter)
    slots: int = 0
    repeated: int = 0
    max_lateness: timedelta = timedelta(0)
    failures: list[str] = field(default_factory=list)

    def record(self, verdict: Verdict, about: str = "", *, times: int = 1) -> None:
        self.counts[verdict] += times
        if verdict not in ACCEPTABLE and len(self.failures) < MAX_FAILURES:
            self.failures.append(f"{verdict.value}: {about}")

    def bad_count(self, *verdicts: Verdict) -> int:
        """Count the given verdicts; by default, all failures."""
        selected = set(verdicts) or set(Verdict) - ACCEPTABLE
        return sum(count for verdict, count in self.counts.items() if verdict in selected)


@dataclass
class SlotEvidence:
    """The ledger rows and starts of one slot."""

    rows: list[Row] = field(default_factory=list)
    starts: list[Effect] = field(default_factory=list)

    @property
    def sent_at(self) -> datetime:
        """The earliest known time that the message was sent; a worker may start it later."""
        [start] = self.starts
        known = [start.started_at, start.sent_at, *(row.queued_at for row in self.rows)]
        return min(at for at in known if at)

    def describe(self) -> str:
        """Return the times of claim, queueing and start as text."""
        rows = [f"claimed at {row.created_at}, queued at {row.queued_at}" for row in self.rows]
        return ", ".join([*rows, f"started at {self.starts[0].started_at}"])


def judge_ledger(
    definitions: Sequence[Definition],
    rows: Iterable[Row],
    effects: Iterable[Effect],
    tolerance: Tolerance,
) -> Report:
    """Judge a beat with a ledger. The row with the run's id gives the run's slot."""
    report = Report()
    started, report.repeated = starts_by_id(effects)
    known = {definition.name: definition for definition in definitions}
    evidence: dict[tuple[str, datetime], SlotEvidence] = defaultdict(SlotEvidence)
    for row in rows:
        starts = started.pop(row.id, [])
        if not (definition := known.get(row.name)):
            report.record(
                Verdict.SPURIOUS,
                f"{row.name} has a row but no definition: {row.slot_at}, {row.state}",
            )
            continue
        slots = covered_slots(definition, row)
        if row.slot_at < definition.until and len(slots) != row.slot_count:
            about = f"{row.name} has {len(slots)} slots from {row.slot_at} to {row.last_slot_at}"
            report.record(Verdict.SPURIOUS, f"{about}, but the row counts {row.slot_count}")
        for slot in slots:
            evidence[row.name, slot].rows.append(row)
            evidence[row.name, slot].starts += starts
    for effect in (effect for left in started.values() for effect in left):
        report.record(Verdict.SPURIOUS, f"{effect.name} ran at {effect.started_at} without a row")
    judge_slots(report, definitions, evidence, tolerance, has_ledger=True)
    return report


def judge_effects(
    definitions: Sequence[Definition], effects: Iterable[Effect], tolerance: Tolerance
) -> Report:
    """Judge a beat without a ledger. A run belongs to the latest slot before its send time."""
    report = Report()
    started, report.repeated = starts_by_id(effects)
    known = {definition.name: definition for definition in definitions}
    evidence: dict[tuple[str, datetime], SlotEvidence] = defaultdict(SlotEvidence)
    for effect in (effect for starts in started.values() for effect in starts):
        definition = known.get(effect.name)
        sent_at = (effect.sent_at or effect.started_at) + tolerance.early
        number = bisect_right(definition.slots, sent_at) if definition else 0
        if definition and number:
            evidence[effect.name, definition.slots[number - 1]].starts.append(effect)
        else:
            report.record(
                Verdict.SPURIOUS, f"{effect.name} ran at {effect.started_at} without a slot"
            )
    judge_slots(report, definitions, evidence, tolerance, has_ledger=False)
    return report


def judge_slots(
    report: Report,
    definitions: Sequence[Definition],
    evidence: Mapping[tuple[str, datetime], SlotEvidence],
    tolerance: Tolerance,
    *,
    has_ledger: bool,
) -> None:
    """Record a verdict on each slot before its definition's `until`."""
    for definition in definitions:
        for slot in definition.slots:
            if slot >= definition.until:
                break
            found = evidence.get((definition.name, slot), SlotEvidence())
            if definition.is_clock_set_back:
                found.rows = [row for row in found.rows if row.is_sent] or found.rows[-1:]
            is_served = bool(found.rows or found.starts)
            about = f"{definition.name} at {slot}"
            if definition.is_disabled(slot):
                if is_served:
                    report.record(Verdict.SPURIOUS, f"{about}: served while disabled")
                continue
            if definition.is_uncertain(slot) and not is_served:
                continue
            report.slots += 1
            verdict, reason = verdict_of(definition, slot, found, tolerance, has_ledger=has_ledger)
            report.record(verdict, f"{about}: {reason}")
            if len(found.starts) == 1:
                report.max_lateness = max(report.max_lateness, found.sent_at - slot)


def verdict_of(  # noqa: PLR0911 - a table of cases
    definition: Definition,
    slot: datetime,
    found: SlotEvidence,
    tolerance: Tolerance,
    *,
    has_ledger: bool,
) -> tuple[Verdict, str]:
    """Return the verdict on a slot, and the reason."""
    if len(found.rows) > 1 or len(found.starts) > 1:
        return Verdict.DOUBLED, f"{len(found.rows)} rows, started {len(found.starts)} times"
    row = found.rows[0] if found.rows else None
    if has_ledger and row is None:
        return Verdict.LOST, "no row"
    if row and (answer := verdict_of_row(definition, slot, row)):
        return answer
    if not found.starts:
        return Verdict.LOST, f"never started, row is {row.state}" if row else "never sent"
    if found.sent_at < slot - tolerance.early:
        return Verdict.EARLY, found.describe()
    if found.sent_at > tolerance.deadline(slot):
        return Verdict.LATE, found.describe()
    return Verdict.RIGHT, ""


def verdict_of_row(definition: Definition, slot: datetime, row: Row) -> tuple[Verdict, str] | None:
    """Return the verdict if the row alone decides it, otherwise None."""
    decision = f"decided at {row.created_at}, {definition.misfire.value}"
    if not row.is_sent:
        if may_miss(definition, row, slot):
            return Verdict.MISSED, ""
        return Verdict.LOST, f"{row.state} against its policy: {decision}"
    if row.state == UNROUTABLE:
        if definition.is_routable:
            return Verdict.LOST, "recorded as unroutable, but it has a route"
        return Verdict.UNROUTABLE, ""
    if not may_send(definition, row):
        return Verdict.SPURIOUS, f"sent against its policy: {decision}"
    return None


def starts_by_id(effects: Iterable[Effect]) -> tuple[dict[str, list[Effect]], int]:
    """Return the starts by run id, and the number of repeated messages."""
    started: dict[str, list[Effect]] = defaultdict(list)
    repeated = 0
    for effect in effects:
        if effect.is_repeated:
            repeated += 1
        else:
            started[effect.id].append(effect)
    return started, repeated
