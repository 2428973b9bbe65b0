"""The wait before each next try."""

import random
from datetime import timedelta

import pytest

from scheduler_api.backoff import backoff, jittered

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("failures", "factor", "seconds"),
    [
        (0, 2, 1),
        (1, 2, 1),
        (2, 2, 2),
        (3, 2, 4),
        (4, 2, 8),
        (5, 2, 10),
        (10**9, 2, 10),
        (3, 1.5, 2.25),
        (3, 1, 1),
    ],
)
def test_backoff_grows_from_the_first_wait_to_the_longest(failures, factor, seconds):
    wait = backoff(failures, first=SECOND, longest=10 * SECOND, factor=factor)

    assert wait == seconds * SECOND


def test_backoff_jitter_is_added_to_the_longest_wait():
    waits = [
        backoff(9, first=SECOND, longest=10 * SECOND, jitter=0.25, rng=random.Random(seed))
        for seed in range(100)
    ]

    assert min(waits) >= 10 * SECOND
    assert 12 * SECOND < max(waits) <= 12.5 * SECOND
    assert len({*waits}) == len(waits)


def test_jittered_wait_of_one_seed_is_the_same_each_time():
    first, second = (jittered(SECOND, jitter=1, rng=random.Random("a run")) for _ in range(2))

    assert first == second > SECOND
