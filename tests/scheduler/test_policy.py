"""Decisions of the misfire and overlap policies, as tables."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler_api.scheduler.policy import (
    MAX_CATCHUP,
    Misfire,
    Overlap,
    OverlapDecision,
    decide,
    missed_among,
)

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
GRACE = 10 * SECOND
HOUR = 3600


def missed(misfire: str, *seconds_ago: float, window: float = HOUR) -> int:
    return missed_among(
        [NOON - ago * SECOND for ago in seconds_ago],
        misfire=misfire,
        catchup_window=window * SECOND,
        grace=GRACE,
        now=NOON,
    )


@pytest.mark.parametrize("misfire", Misfire)
def test_slots_on_time_are_sent(misfire):
    assert missed(misfire, 0) == 0
    assert missed(misfire, 10) == 0
    assert missed(misfire, 9, 6, 3, 0) == 0


@pytest.mark.parametrize(
    ("seconds_ago", "misses"),
    [
        ([11], 1),
        ([11, 10], 1),
        ([60, 40, 20], 3),
        ([60, 40, 20, 5, 1], 3),
    ],
)
def test_skip_misses_late_slots(seconds_ago, misses):
    assert missed(Misfire.SKIP, *seconds_ago) == misses


@pytest.mark.parametrize(
    ("seconds_ago", "misses"),
    [
        ([11], 0),
        ([60, 40, 20], 2),
        ([60, 40, 20, 5, 1], 4),
        ([HOUR], 0),
        ([HOUR + 1], 1),
        ([HOUR + 2, HOUR + 1], 2),
        ([HOUR + 1, 1], 1),
    ],
)
def test_run_once_sends_only_the_latest_slot(seconds_ago, misses):
    assert missed(Misfire.RUN_ONCE, *seconds_ago) == misses


@pytest.mark.parametrize(
    ("seconds_ago", "misses"),
    [
        ([11], 0),
        ([60, 40, 20, 5], 0),
        ([HOUR + 1, HOUR, 20, 5], 1),
        ([HOUR + 2, HOUR + 1], 2),
    ],
)
def test_run_all_sends_each_slot_within_the_window(seconds_ago, misses):
    assert missed(Misfire.RUN_ALL, *seconds_ago) == misses


def test_run_all_sends_the_latest_hundred_slots():
    late = [20.0 + ago for ago in range(MAX_CATCHUP + 5)]

    assert missed(Misfire.RUN_ALL, *reversed(late), 5, 0) == 5


@pytest.mark.parametrize("misfire", [Misfire.RUN_ONCE, Misfire.RUN_ALL])
def test_window_shorter_than_the_grace_misses_no_slot_on_time(misfire):
    assert missed(misfire, 9, window=0) == 0
    assert missed(misfire, 11, window=0) == 1


@pytest.mark.parametrize(
    ("overlap", "active", "buffered", "decision"),
    [
        (Overlap.ALLOW, 5, 0, OverlapDecision.SEND),
        (Overlap.SKIP, 0, 0, OverlapDecision.SEND),
        (Overlap.SKIP, 1, 0, OverlapDecision.SKIP),
        (Overlap.BUFFER_ONE, 0, 0, OverlapDecision.SEND),
        (Overlap.BUFFER_ONE, 1, 0, OverlapDecision.BUFFER),
        (Overlap.BUFFER_ONE, 2, 1, OverlapDecision.SKIP),
        (Overlap.CANCEL_PREVIOUS, 0, 0, OverlapDecision.SEND),
        (Overlap.CANCEL_PREVIOUS, 1, 0, OverlapDecision.REPLACE),
    ],
)
def test_overlap_decision(overlap, active, buffered, decision):
    assert decide(overlap, active=active, buffered=buffered) is decision
