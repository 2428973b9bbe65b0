"""Exponential back-off with jitter: the wait before each next try."""

import random
from datetime import timedelta

MAX_DOUBLINGS = 32  # of the first wait: more would overflow


def backoff(
    failures: int,
    *,
    first: timedelta,
    longest: timedelta,
    factor: float = 2,
    jitter: float = 0,
    rng: random.Random | None = None,
) -> timedelta:
    """Return the wait after this many failures in a row, from 1 on.

    It is `first` after one failure, and grows by `factor` with each further one up to `longest`.
    Jitter comes on top; see `jittered`.
    """
    grown = first.total_seconds() * float(factor) ** min(max(failures - 1, 0), MAX_DOUBLINGS)
    wait = timedelta(seconds=min(grown, longest.total_seconds()))
    return wait if rng is None else jittered(wait, jitter=jitter, rng=rng)


def jittered(wait: timedelta, *, jitter: float, rng: random.Random) -> timedelta:
    """Return a wait that is longer by a random share of itself, at most `jitter`.

    Without it, tries that failed together come back together. An `rng` of the same seed gives the
    same wait.
    """
    return wait * (1 + jitter * rng.random())
