"""The checker for killed workers finds each failure, and only failures."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.attempts import AttemptedRun, Mark, judge_attempts, judge_marks
from tests.faults.checker import Report, Verdict
from tests.faults.evidence import Definition, interval_slots

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SLOTS = interval_slots(SECOND, start_at=NOON, end_at=NOON + 400 * SECOND)
DEFINITION = Definition(name="task", slots=SLOTS, until=NOON + SECOND)


def row(**changes: object) -> AttemptedRun:
    given = {"id": "run", "name": "task", "state": "succeeded", "slot_at": NOON, "attempts": 1}
    return AttemptedRun(**(given | changes))


def marks(*moments: float) -> list[Mark]:
    """Return marks at these seconds after noon; a negative number is an end."""
    return [
        Mark(id="run", name="task", at=NOON + abs(seconds) * SECOND, is_end=seconds < 0)
        for seconds in moments
    ]


def judged(rows: list[AttemptedRun], run_marks: list[Mark], *, allowed: int = 1) -> Report:
    return judge_attempts([DEFINITION], rows, run_marks, max_attempts={"task": allowed})


LOST = {"state": "lost", "reason": "gone"}


@pytest.mark.parametrize(
    ("changes", "moments", "allowed", "verdict"),
    [
        ({}, (1, -2), 1, Verdict.RIGHT),
        ({"attempts": 2}, (1, 3, -4), 9, Verdict.RIGHT),  # the first attempt was killed
        (
            {"attempts": 2},
            (1, -2, 3, -4),
            9,
            Verdict.RIGHT,
        ),  # killed before the ledger recorded the end
        (
            {"attempts": 2},
            (3, -4),
            9,
            Verdict.RIGHT,
        ),  # the first attempt was killed before its mark
        (LOST, (1,), 1, Verdict.GIVEN_UP),
        (LOST | {"attempts": 9}, (1, 2), 9, Verdict.GIVEN_UP),
        (LOST | {"reason": ""}, (1,), 1, Verdict.LOST),  # without a reason
        (LOST, (1,), 9, Verdict.LOST),  # it had attempts left
        (LOST | {"attempts": 0}, (), 1, Verdict.GIVEN_UP),  # it may have started
        (LOST | {"attempts": 0}, (), 9, Verdict.LOST),
        ({"state": "running"}, (1,), 1, Verdict.LOST),
        ({"state": "missed", "reason": "off", "attempts": 0}, (), 9, Verdict.MISSED),
        ({"state": "missed", "reason": "off", "attempts": 0}, (1,), 9, Verdict.DOUBLED),
        ({"state": "queued", "attempts": 0}, (), 1, Verdict.LOST),
        ({}, (1, -2, 3, -4), 1, Verdict.DOUBLED),  # more starts than the ledger records
        ({"attempts": 2}, (1, 3), 1, Verdict.DOUBLED),  # more starts than allowed
        ({"attempts": 2}, (1, 3, -4, -5), 9, Verdict.DOUBLED),  # overlapping attempts
        ({}, (1,), 1, Verdict.SPURIOUS),  # succeeded without an end mark
    ],
)
def test_run_verdict(
    changes: dict[str, object], moments: tuple[float, ...], allowed: int, verdict: Verdict
) -> None:
    report = judged([row(**changes)], marks(*moments), allowed=allowed)

    assert report.counts == {verdict: 1}
    assert report.slots == 1


def test_slot_without_row_is_lost_and_with_two_rows_doubled() -> None:
    assert judged([], []).counts == {Verdict.LOST: 1}
    assert judged([row(), row(id="another")], []).counts == {Verdict.DOUBLED: 1}


def test_row_without_slot_and_run_without_row_are_spurious() -> None:
    another = row(slot_at=NOON - SECOND, id="another")

    assert judged([row(), another], marks(1, -2)).counts[Verdict.SPURIOUS] == 1
    assert judged([], marks(1, -2)).counts[Verdict.SPURIOUS] == 1


def test_slots_after_the_judged_period_count_if_served() -> None:
    later = row(id="later", slot_at=NOON + SECOND)

    assert judged([row(), later], marks(1, -2)).slots == 2


@pytest.mark.parametrize(
    ("moments", "verdict"),
    [((1, -2), Verdict.RIGHT), ((1,), Verdict.LOST), ((1, 2, -3), Verdict.DOUBLED)],
)
def test_run_without_ledger_verdict(moments: tuple[float, ...], verdict: Verdict) -> None:
    assert judge_marks(marks(*moments)).counts == {verdict: 1}
