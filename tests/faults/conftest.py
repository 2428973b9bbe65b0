"""Servers for the session, a trial for each fault, and the table in the end."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.overlapping import Make, Overlapping, trials
from tests.faults.servers import Missing
from tests.faults.site import Site
from tests.faults.table import table
from tests.faults.trial import OUTCOMES
from tests.services import do_without

TIMEOUT_SECONDS = 3600
HERE = Path(__file__).parent
SEEDS = [int(seed) for seed in (os.environ.get("FAULT_SEEDS") or "1").split(",")]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "calm: a fault that leaves the servers alone")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the calm ones first: nothing else is to run meanwhile. All may take their time."""
    mine = [number for number, item in enumerate(items) if HERE in item.path.parents]
    ordered = sorted(
        (items[number] for number in mine), key=lambda item: not item.get_closest_marker("calm")
    )
    for number, item in zip(mine, ordered, strict=True):
        items[number] = item
        item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))
        if isinstance(item, pytest.Function) and overlaps(item):
            item.fixturenames.append("overlapping")


def overlaps(item: pytest.Item) -> bool:
    """Tell whether a test runs in a thread; not where each process has but some of them."""
    return "PYTEST_XDIST_WORKER" not in os.environ and bool(item.get_closest_marker("calm"))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Wait for a calm test, rather than call it."""
    if not overlaps(pyfuncitem):
        return None
    overlapping: Overlapping = pyfuncitem.funcargs["overlapping"]
    overlapping.wait_for(pyfuncitem)
    return True


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Servers of our own, and a worker on them."""
    try:
        site = Site(tmp_path_factory.mktemp("faults"))
    except Missing as missing:
        do_without(str(missing))
    try:
        site.start()
        yield site
    finally:
        site.close()


@pytest.fixture(scope="session")
def overlapping(site: Site, request: pytest.FixtureRequest) -> Iterator[Overlapping]:
    overlapping = Overlapping(site, request.session.items)
    yield overlapping
    overlapping.close()


@pytest.fixture(params=SEEDS)
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def chance(seed: int) -> random.Random:
    """What is left to chance: the same for the same seed."""
    return random.Random(seed)


@pytest.fixture
def trial(site: Site, seed: int) -> Iterator[Make]:
    """Return what makes a trial; it ends with the test."""
    with trials(site, seed) as make:
        yield make


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if OUTCOMES:
        terminalreporter.section("faults")
        terminalreporter.write_line(table(OUTCOMES))
