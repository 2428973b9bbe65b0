"""Runs tests marked `calm` a few at a time: they do not harm the servers, and mostly wait.

All calm tests are submitted to a pool of threads when pytest reaches the first one. When pytest
reaches each test, it waits for the result.
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

# In the long form each test has more load, and overlapping tests would slow each other down.
MAX_CONCURRENT_TESTS = int(os.environ.get("FAULTS_AT_ONCE") or (2 if SCALE <= 1 else 1))

TrialFactory = Callable[[str], Trial]


class Overlapping:
    """The calm tests of this session, by node id."""

    def __init__(self, site: Site, items: list[pytest.Item]) -> None:
        self.site = site
        self.pool = ThreadPoolExecutor(MAX_CONCURRENT_TESTS)
        self.futures: dict[str, Future[None]] = {
            item.nodeid: self.pool.submit(self.run, item)
            for item in items
            if isinstance(item, pytest.Function) and item.get_closest_marker("calm")
        }

    def run(self, item: pytest.Function) -> None:
        """Call a test with the arguments that its fixtures would provide."""
        arguments = dict(item.callspec.params)
        with trials(self.site, arguments["seed"], arms=arms_of(item)) as make:
            arguments |= {"make_trial": make, "rng": random.Random(arguments["seed"])}
            names = inspect.signature(item.obj).parameters
            item.obj(**{name: arguments[name] for name in names})

    def wait_for(self, item: pytest.Item) -> None:
        """Wait until the test ends, and raise its exception if it failed."""
        self.futures[item.nodeid].result()

    def close(self) -> None:
        self.pool.shutdown(cancel_futures=True)


def arms_of(item: pytest.Item) -> list[str]:
    """Return the names of the arms that a test runs.

    `make faults` runs the stock arm of all faults. `make test` runs it only for those marked
    `control`: a few are enough to show that the checker finds failures. FAULT_ARMS sets the arms
    of all tests.
    """
    if names := os.environ.get("FAULT_ARMS"):
        return names.split(",")
    has_control = SCALE > 1 or item.get_closest_marker("control")
    return ["ours", "stock"] if has_control else ["ours"]


@contextmanager
def trials(site: Site, seed: int, *, arms: list[str]) -> Iterator[TrialFactory]:
    """Yield a factory of trials, and close these trials afterwards."""
    trials_made: list[Trial] = []

    def make(fault: str) -> Trial:
        trials_made.append(Trial(site, fault, seed, arms=arms))
        return trials_made[-1]

    try:
        yield make
    finally:
        for each in trials_made:
            each.close()
