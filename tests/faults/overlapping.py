"""Faults that leave the servers alone, a few at a time: most of what they do is wait.

A test marked `calm` runs in a thread, from the moment that the first of them is to run, and pytest
waits for it when it is its turn.
"""

import inspect
import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.faults.site import Site
from tests.faults.trial import SCALE, Trial

# With more to do, they would only be in each other's way.
MAX_CONCURRENT_TESTS = int(os.environ.get("FAULTS_AT_ONCE") or (2 if SCALE <= 1 else 1))

TrialFactory = Callable[[str], Trial]


class Overlapping:
    """The calm tests of this session, by their names."""

    def __init__(self, site: Site, items: list[pytest.Item]) -> None:
        self.site = site
        self.pool = ThreadPoolExecutor(MAX_CONCURRENT_TESTS)
        self.futures: dict[str, Future[None]] = {
            item.nodeid: self.pool.submit(self.run, item)
            for item in items
            if isinstance(item, pytest.Function) and item.get_closest_marker("calm")
        }

    def run(self, item: pytest.Function) -> None:
        """Call a test with what fixtures would give it."""
        arguments = dict(item.callspec.params)
        with trials(self.site, arguments["seed"], arms=arms_of(item)) as make:
            arguments |= {"make_trial": make, "rng": random.Random(arguments["seed"])}
            names = inspect.signature(item.obj).parameters
            item.obj(**{name: arguments[name] for name in names})

    def wait_for(self, item: pytest.Item) -> None:
        """Return when the test has passed, or raise why it has not."""
        self.futures[item.nodeid].result()

    def close(self) -> None:
        self.pool.shutdown(cancel_futures=True)


def arms_of(item: pytest.Item) -> list[str]:
    """Return the names of the arms that a test runs.

    `make faults` runs the stock arm of all faults, `make test` of those marked `control`: a few
    show as well that the checker sees what is wrong. FAULT_ARMS names the arms of all.
    """
    if names := os.environ.get("FAULT_ARMS"):
        return names.split(",")
    has_control = SCALE > 1 or item.get_closest_marker("control")
    return ["ours", "stock"] if has_control else ["ours"]


@contextmanager
def trials(site: Site, seed: int, *, arms: list[str]) -> Iterator[TrialFactory]:
    """Yield a function that makes trials, and end these trials afterwards."""
    trials_made: list[Trial] = []

    def make(fault: str) -> Trial:
        trials_made.append(Trial(site, fault, seed, arms=arms))
        return trials_made[-1]

    try:
        yield make
    finally:
        for each in trials_made:
            each.close()
