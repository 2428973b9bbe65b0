"""The checker finds each failure, and only failures."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.checker import Report, judge_effects, judge_ledger
from tests.faults.evidence import (
    Definition,
    Effect,
    Misfire,
    Period,
    Row,
    Tolerance,
    interval_slots,
)

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
SLOTS = interval_slots(SECOND, start_at=NOON, end_at=NOON + 400 * SECOND)
STOCK = Tolerance(early=SECOND / 10)


def definition(**changes: object) -> Definition:
    """Return a definition with five judged slots, a second apart."""
    given = {"name": "task", "slots": SLOTS, "until": NOON + 5 * SECOND}
    return Definition(**(given | changes))


def row(number: int, **changes: object) -> Row:
    """Return the row of a slot that was sent on time."""
    given = {
        "id": f"run-{number}",
        "name": "task",
        "state": "queued",
        "slot_at": SLOTS[number],
        "created_at": SLOTS[number],
    }
    return Row(**(given | changes))


def effect(number: int, *, late: float = 0.01, **changes: object) -> Effect:
    """Return the start of a run, `late` seconds after its slot."""
    started_at = SLOTS[number] + late * SECOND
    given = {"id": f"run-{number}", "name": "task", "started_at": started_at}
    return Effect(**(given | changes))


ROWS = [row(number) for number in range(5)]
EFFECTS = [effect(number) for number in range(5)]


def counted_verdicts(report: Report) -> dict[str, int]:
    return {verdict.value: count for verdict, count in report.counts.items() if count}


def ledger_verdicts(
    rows: Sequence[Row] = ROWS,
    effects: Sequence[Effect] = EFFECTS,
    tolerance: Tolerance | None = None,
    **changes: object,
) -> dict[str, int]:
    report = judge_ledger([definition(**changes)], rows, effects, tolerance or Tolerance())
    assert bool(report.failures) == bool(report.bad_count())
    return counted_verdicts(report)


def effect_verdicts(effects: Sequence[Effect] = EFFECTS) -> dict[str, int]:
    return counted_verdicts(judge_effects([definition()], effects, STOCK))


# --- With a ledger ----------------------------------------------------------------------------


def test_complete_ledger_is_right() -> None:
    assert ledger_verdicts() == {"right": 5}


@pytest.mark.parametrize(
    ("rows", "effects", "bad"),
    [
        (ROWS[1:], EFFECTS[1:], {"lost": 1}),
        (ROWS, EFFECTS[1:], {"lost": 1}),
        ([row(0, state="pending"), *ROWS[1:]], EFFECTS[1:], {"lost": 1}),
        ([row(0, state="unroutable"), *ROWS[1:]], EFFECTS[1:], {"lost": 1}),
        ([row(0, id="another"), *ROWS], EFFECTS, {"doubled": 1}),
        ([row(0, id="another"), *ROWS], [effect(0, id="another"), *EFFECTS], {"doubled": 1}),
        (ROWS, [effect(0), *EFFECTS], {"doubled": 1}),
        (ROWS, [effect(0, late=-0.01), *EFFECTS[1:]], {"early": 1}),
        (ROWS, [effect(0, late=2.01), *EFFECTS[1:]], {"late": 1}),
    ],
    ids=[
        "no row",
        "no effect",
        "never published",
        "unroutable",
        "two rows",
        "two rows and two runs",
        "two runs",
        "early",
        "late",
    ],
)
def test_slot_failure_is_found(
    rows: list[Row], effects: list[Effect], bad: dict[str, int]
) -> None:
    assert ledger_verdicts(rows, effects) == {"right": 4} | bad


@pytest.mark.parametrize(
    ("rows", "effects"),
    [
        (ROWS, [*EFFECTS, effect(0, id="unknown")]),
        ([*ROWS, row(0, id="other", name="unknown")], EFFECTS),
        ([*ROWS, row(0, id="other", slot_at=NOON + SECOND / 2)], EFFECTS),
    ],
    ids=["no row", "no definition", "no slot"],
)
def test_run_or_row_without_slot_is_spurious(rows: list[Row], effects: list[Effect]) -> None:
    assert ledger_verdicts(rows, effects) == {"right": 5, "spurious": 1}


def test_repeated_message_is_counted_and_is_no_failure() -> None:
    effects = [*EFFECTS, effect(0, is_repeated=True)]

    report = judge_ledger([definition()], ROWS, effects, Tolerance())

    assert (counted_verdicts(report), report.repeated) == ({"right": 5}, 1)


def test_run_waiting_for_a_worker_is_not_late() -> None:
    rows = [row(number, queued_at=SLOTS[number]) for number in range(5)]

    assert ledger_verdicts(rows, [effect(0, late=9), *EFFECTS[1:]]) == {"right": 5}


def test_max_lateness_is_reported() -> None:
    report = judge_ledger([definition()], ROWS, [effect(0, late=1.5)], Tolerance())

    assert report.max_lateness == 1.5 * SECOND


def test_slots_after_the_judged_period_are_not_judged() -> None:
    assert ledger_verdicts([*ROWS, row(5), row(6)], [*EFFECTS, effect(5)]) == {"right": 5}


@pytest.mark.parametrize(("late", "verdict"), [(15.9, "right"), (16.1, "late")])
def test_slot_after_an_outage_may_be_later(late: float, verdict: str) -> None:
    outage = Period(start_at=NOON - SECOND, end_at=NOON + SECOND)

    effects = [effect(0, late=late), *EFFECTS[1:]]

    assert ledger_verdicts(effects=effects, tolerance=Tolerance(outages=[outage]))[verdict] >= 1


def test_earlier_outage_does_not_excuse_lateness() -> None:
    outage = Period(start_at=NOON - 29 * SECOND, end_at=NOON - 16 * SECOND)

    effects = [effect(0, late=2.01), *EFFECTS[1:]]

    assert ledger_verdicts(effects=effects, tolerance=Tolerance(outages=[outage]))["late"] == 1


def test_unroutable_slot_must_be_recorded_as_unroutable() -> None:
    rows = [row(number, state="unroutable") for number in range(5)]

    assert ledger_verdicts(rows, [], is_routable=False) == {"unroutable": 5}
    assert ledger_verdicts(ROWS, [], is_routable=False) == {"lost": 5}


def test_disabled_task_must_not_run() -> None:
    disabled = [Period(start_at=NOON + 3 * SECOND, end_at=NOON + 5 * SECOND)]

    assert ledger_verdicts(ROWS[:3], EFFECTS[:3], disabled_periods=disabled) == {"right": 3}
    assert ledger_verdicts(disabled_periods=disabled) == {"right": 3, "spurious": 2}


def test_slot_in_uncertain_period_may_run_or_not() -> None:
    uncertain = [Period(start_at=NOON + 3 * SECOND, end_at=NOON + 5 * SECOND)]

    assert ledger_verdicts(ROWS[:4], EFFECTS[:4], uncertain_periods=uncertain) == {"right": 4}


# --- Policies for late slots ------------------------------------------------------------------


def missed_row(first: int, last: int, *, decided_after: float, **changes: object) -> Row:
    """Return the row of missed slots, written `decided_after` seconds after noon."""
    return row(
        first,
        **{
            "id": f"missed-{first}",
            "state": "missed",
            "last_slot_at": SLOTS[last],
            "slot_count": last - first + 1,
            "created_at": NOON + decided_after * SECOND,
        }
        | changes,
    )


def judge_policy(
    after: float, policy: Misfire, rows: list[Row], **changes: object
) -> dict[str, int]:
    """Judge rows written `after` seconds after noon for the slots that had passed by then."""
    moment = NOON + after * SECOND
    rows = [row(int(each.id[4:]), created_at=moment) if each.is_sent else each for each in rows]
    effects = [effect(0, id=each.id, started_at=moment) for each in rows if each.is_sent]
    outage = Period(start_at=NOON, end_at=moment)
    changes = {"misfire": policy, "until": moment + SECOND / 2} | changes
    return ledger_verdicts(rows, effects, Tolerance(outages=[outage]), **changes)


MISSED_ROWS = [missed_row(0, 19, decided_after=20)]


def sent_rows(first: int, last: int) -> list[Row]:
    return [row(number) for number in range(first, last + 1)]


@pytest.mark.parametrize(
    ("policy", "rows", "verdict"),
    [
        (
            Misfire.SKIP,
            [missed_row(0, 9, decided_after=20), *sent_rows(10, 20)],
            {"missed": 10, "right": 11},
        ),
        (Misfire.SKIP, sent_rows(0, 20), {"spurious": 9, "right": 12}),
        (Misfire.SKIP, [missed_row(0, 20, decided_after=20)], {"missed": 11, "lost": 10}),
        (
            Misfire.RUN_ONCE,
            [*MISSED_ROWS, *sent_rows(20, 20)],
            {"missed": 20, "right": 1},
        ),
        (Misfire.RUN_ONCE, [missed_row(0, 20, decided_after=20)], {"missed": 20, "lost": 1}),
        (Misfire.RUN_ONCE, sent_rows(0, 20), {"spurious": 9, "right": 12}),
        (Misfire.RUN_ALL, sent_rows(0, 20), {"right": 21}),
        (Misfire.RUN_ALL, [*MISSED_ROWS, *sent_rows(20, 20)], {"lost": 20, "right": 1}),
    ],
)
def test_misfire_policy_verdict(policy: Misfire, rows: list[Row], verdict: dict[str, int]) -> None:
    assert judge_policy(20, policy, rows) == verdict


def test_run_once_sends_all_slots_that_are_not_late() -> None:
    assert judge_policy(9, Misfire.RUN_ONCE, sent_rows(0, 9)) == {"right": 10}
    assert (
        judge_policy(
            9,
            Misfire.RUN_ONCE,
            [
                missed_row(
                    0,
                    8,
                    decided_after=9,
                ),
                *sent_rows(9, 9),
            ],
        )["right"]
        == 1
    )


def test_slots_older_than_the_catchup_window_are_not_sent() -> None:
    window = {"catchup_window": 15 * SECOND}
    rows = [missed_row(0, 4, decided_after=20), *sent_rows(5, 20)]

    assert judge_policy(20, Misfire.RUN_ALL, rows, **window) == {"missed": 5, "right": 16}
    assert judge_policy(20, Misfire.RUN_ALL, sent_rows(0, 20), **window)["spurious"] == 4


def test_run_all_catches_up_a_hundred_late_slots() -> None:
    rows = [missed_row(0, 189, decided_after=300), *sent_rows(190, 300)]
    too_many = [missed_row(0, 184, decided_after=300), *sent_rows(185, 300)]
    too_few = [missed_row(0, 194, decided_after=300), *sent_rows(195, 300)]

    assert judge_policy(300, Misfire.RUN_ALL, rows) == {"missed": 190, "right": 111}
    assert judge_policy(300, Misfire.RUN_ALL, too_many)["spurious"] > 0
    assert judge_policy(300, Misfire.RUN_ALL, too_few)["lost"] > 0


def test_missed_slots_may_be_served_after_the_clock_is_set_back() -> None:
    rows = [missed_row(0, 9, decided_after=20), *sent_rows(0, 20)]

    assert judge_policy(20, Misfire.RUN_ALL, rows)["doubled"] == 10
    assert judge_policy(20, Misfire.RUN_ALL, rows, is_clock_set_back=True) == {"right": 21}


def test_missed_row_with_wrong_slot_count_is_spurious() -> None:
    rows = [missed_row(0, 19, decided_after=20, slot_count=19), *sent_rows(20, 20)]

    assert judge_policy(20, Misfire.RUN_ONCE, rows)["spurious"] == 1


# --- Without a ledger -------------------------------------------------------------------------


def test_effects_without_ledger_are_right() -> None:
    assert effect_verdicts() == {"right": 5}


@pytest.mark.parametrize(
    ("effects", "verdict"),
    [
        (EFFECTS[1:], {"lost": 1, "right": 4}),
        ([*EFFECTS, effect(0, id="again", late=0.5)], {"doubled": 1, "right": 4}),
        ([effect(0, late=-5), *EFFECTS], {"spurious": 1, "right": 5}),
        ([*EFFECTS, effect(0, id="other", name="unknown")], {"spurious": 1, "right": 5}),
    ],
    ids=["lost", "doubled", "before its start", "unknown"],
)
def test_failure_without_ledger_is_found(effects: list[Effect], verdict: dict[str, int]) -> None:
    assert effect_verdicts(effects) == verdict


def test_send_time_without_ledger_determines_the_slot() -> None:
    queued = effect(0, late=3, sent_at=NOON)

    assert effect_verdicts([queued, *EFFECTS[1:]]) == {"right": 5}
