"""The judgement: of each slot, whether it is right; of each run, whether it is of a slot.

Pure: no clock, no database, no processes.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from tests.faults.evidence import UNROUTABLE, Definition, Effect, Row, Tolerance
from tests.faults.policies import covered, may_miss, may_send

MOST_COMPLAINTS = 40


class Verdict(Enum):
    """What became of a slot; the last one is of a run that has none."""

    RIGHT = "right"
    MISSED = "missed"  # by its policy, with a row that says so
    GIVEN_UP = "given up"  # after as many attempts as it may have, with a row that says so
    UNROUTABLE = "unroutable"  # as it had to, with a row that says so
    LOST = "lost"
    DOUBLED = "doubled"
    EARLY = "early"
    LATE = "late"
    SPURIOUS = "spurious"


GOOD = {Verdict.RIGHT, Verdict.MISSED, Verdict.GIVEN_UP, Verdict.UNROUTABLE}


@dataclass
class Report:
    """How often each verdict was given, and why, where it was a bad one."""

    counts: Counter[Verdict] = field(default_factory=Counter)
    slots: int = 0
    repeated: int = 0
    max_lateness: timedelta = timedelta(0)
    complaints: list[str] = field(default_factory=list)

    def give(self, verdict: Verdict, about: str = "", *, times: int = 1) -> None:
        self.counts[verdict] += times
        if verdict not in GOOD and len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(f"{verdict.value}: {about}")

    def bad(self, *verdicts: Verdict) -> int:
        """Count the bad verdicts, or those of these."""
        asked = set(verdicts) or set(Verdict) - GOOD
        return sum(count for verdict, count in self.counts.items() if verdict in asked)


@dataclass
class Served:
    """What is known of one slot."""

    rows: list[Row] = field(default_factory=list)
    starts: list[Effect] = field(default_factory=list)

    @property
    def sent_at(self) -> datetime:
        """When the broker had it, as far as we know: workers have their own pace."""
        [start] = self.starts
        known = [start.started_at, start.sent_at, *(row.queued_at for row in self.rows)]
        return min(moment for moment in known if moment)

    def told(self) -> str:
        """Say when it was claimed, sent and started."""
        rows = [f"claimed at {row.created_at}, queued at {row.queued_at}" for row in self.rows]
        return ", ".join([*rows, f"started at {self.starts[0].started_at}"])


def judge_ledger(
    definitions: Sequence[Definition],
    rows: Iterable[Row],
    effects: Iterable[Effect],
    tolerance: Tolerance,
) -> Report:
    """Judge a beat that keeps a ledger: a run is of the slot that the row of its id names."""
    report = Report()
    started, report.repeated = starts_by_id(effects)
    known = {definition.name: definition for definition in definitions}
    served: dict[tuple[str, datetime], Served] = defaultdict(Served)
    for row in rows:
        starts = started.pop(row.id, [])
        if not (definition := known.get(row.name)):
            report.give(Verdict.SPURIOUS, f"a row of {row.name}, {row.slot_at}: {row.state}")
            continue
        slots = covered(definition, row)
        if row.slot_at < definition.until and len(slots) != row.slot_count:
            about = f"{row.name} has {len(slots)} slots from {row.slot_at} to {row.last_slot_at}"
            report.give(Verdict.SPURIOUS, f"{about}, and the row counts {row.slot_count}")
        for slot in slots:
            served[row.name, slot].rows.append(row)
            served[row.name, slot].starts += starts
    for effect in (effect for left in started.values() for effect in left):
        report.give(Verdict.SPURIOUS, f"{effect.name} ran at {effect.started_at}: no such row")
    judge_slots(report, definitions, served, tolerance, has_ledger=True)
    return report


def judge_effects(
    definitions: Sequence[Definition], effects: Iterable[Effect], tolerance: Tolerance
) -> Report:
    """Judge a beat that keeps no ledger: a run is of the latest slot when it was sent."""
    report = Report()
    started, report.repeated = starts_by_id(effects)
    known = {definition.name: definition for definition in definitions}
    served: dict[tuple[str, datetime], Served] = defaultdict(Served)
    for effect in (effect for starts in started.values() for effect in starts):
        definition = known.get(effect.name)
        sent_at = (effect.sent_at or effect.started_at) + tolerance.early
        number = bisect_right(definition.slots, sent_at) if definition else 0
        if definition and number:
            served[effect.name, definition.slots[number - 1]].starts.append(effect)
        else:
            report.give(Verdict.SPURIOUS, f"{effect.name} ran at {effect.started_at}")
    judge_slots(report, definitions, served, tolerance, has_ledger=False)
    return report


def judge_slots(
    report: Report,
    definitions: Sequence[Definition],
    served: Mapping[tuple[str, datetime], Served],
    tolerance: Tolerance,
    *,
    has_ledger: bool,
) -> None:
    """Give a verdict on each slot that is to be judged."""
    for definition in definitions:
        for slot in definition.slots:
            if slot >= definition.until:
                break
            what = served.get((definition.name, slot), Served())
            if definition.may_come_again:
                what.rows = [row for row in what.rows if row.is_sent] or what.rows[-1:]
            is_served = bool(what.rows or what.starts)
            about = f"{definition.name} of {slot}"
            if definition.is_off(slot):
                if is_served:
                    report.give(Verdict.SPURIOUS, f"{about}: it was off")
                continue
            if definition.is_unsure(slot) and not is_served:
                continue
            report.slots += 1
            verdict, why = verdict_of(definition, slot, what, tolerance, has_ledger=has_ledger)
            report.give(verdict, f"{about}: {why}")
            if len(what.starts) == 1:
                report.max_lateness = max(report.max_lateness, what.sent_at - slot)


def verdict_of(  # noqa: PLR0911 - a table of cases
    definition: Definition, slot: datetime, what: Served, tolerance: Tolerance, *, has_ledger: bool
) -> tuple[Verdict, str]:
    """Return what became of a slot, and why it is so."""
    if len(what.rows) > 1 or len(what.starts) > 1:
        return Verdict.DOUBLED, f"{len(what.rows)} rows, started {len(what.starts)} times"
    row = what.rows[0] if what.rows else None
    if has_ledger and row is None:
        return Verdict.LOST, "no row"
    if row and (answer := verdict_of_row(definition, slot, row)):
        return answer
    if not what.starts:
        return Verdict.LOST, f"never started; its row is {row.state}" if row else "never sent"
    if what.sent_at < slot - tolerance.early:
        return Verdict.EARLY, what.told()
    if what.sent_at > tolerance.deadline(slot):
        return Verdict.LATE, what.told()
    return Verdict.RIGHT, ""


def verdict_of_row(definition: Definition, slot: datetime, row: Row) -> tuple[Verdict, str] | None:
    """Return the verdict where the row alone gives it: its slot was not sent, or not to be."""
    when = f"decided at {row.created_at}, {definition.misfire.value}"
    if not row.is_sent:
        if may_miss(definition, row, slot):
            return Verdict.MISSED, ""
        return Verdict.LOST, f"{row.state} against its policy: {when}"
    if row.state == UNROUTABLE:
        if definition.is_routable:
            return Verdict.LOST, "unroutable, and it was not"
        return Verdict.UNROUTABLE, ""
    if not may_send(definition, row):
        return Verdict.SPURIOUS, f"sent against its policy: {when}"
    return None


def starts_by_id(effects: Iterable[Effect]) -> tuple[dict[str, list[Effect]], int]:
    """Return the runs that were started by their id, and how many messages were repeated."""
    started: dict[str, list[Effect]] = defaultdict(list)
    repeated = 0
    for effect in effects:
        if effect.is_repeated:
            repeated += 1
        else:
            started[effect.id].append(effect)
    return started, repeated
