"""Fixtures for the session's servers and each test's trials, and the summary table."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.distribution import group_of
from tests.faults.overlapping import Overlapping, TrialFactory, arms_of, trials
from tests.faults.servers import ServerNotInstalled
from tests.faults.site import Site
from tests.faults.table import render_table, result_rows
from tests.faults.trial import TRIAL_RESULTS
from tests.services import skip_or_fail

TIMEOUT_SECONDS = 3600
HERE = Path(__file__).parent
SEEDS = [int(seed) for seed in (os.environ.get("FAULT_SEEDS") or "1").split(",")]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "calm: a fault that does not harm the shared servers")
    config.addinivalue_line("markers", "control: runs the stock arm in `make test` too")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the calm tests first, and give all fault tests a longer timeout.

    One process runs all calm tests, overlapping. Another process runs the tests that harm the
    servers. Each process has its own servers.
    """
    indexes = [number for number, item in enumerate(items) if HERE in item.path.parents]
    ordered = sorted(
        (items[number] for number in indexes), key=lambda item: not item.get_closest_marker("calm")
    )
    for number, item in zip(indexes, ordered, strict=True):
        items[number] = item
        item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))
        assert is_calm(item) == (group_of(item.nodeid) == "calm faults"), item
        if is_calm(item):
            item.fixturenames.append("overlapping")


def is_calm(item: pytest.Item) -> bool:
    return bool(item.get_closest_marker("calm"))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Wait for a calm test, which already runs in a thread, instead of calling it."""
    if not is_calm(pyfuncitem):
        return None
    overlapping: Overlapping = pyfuncitem.funcargs["overlapping"]
    overlapping.wait_for(pyfuncitem)
    return True


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Private servers with a worker."""
    try:
        site = Site(tmp_path_factory.mktemp("faults"))
    except ServerNotInstalled as missing:
        skip_or_fail(str(missing))
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
def rng(seed: int) -> random.Random:
    """A random generator seeded for this test, so that a failure can be reproduced."""
    return random.Random(seed)


@pytest.fixture
def make_trial(site: Site, seed: int, request: pytest.FixtureRequest) -> Iterator[TrialFactory]:
    """A factory of trials, which end with the test."""
    with trials(site, seed, arms=arms_of(request.node)) as make:
        yield make


# --- Summary table ----------------------------------------------------------------------------

# Rows from the xdist processes, which cannot print to the terminal.
XDIST_ROWS: list[list[str]] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["results"] = result_rows(TRIAL_RESULTS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    XDIST_ROWS.extend(getattr(node, "workeroutput", {}).get("results", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if found := result_rows(TRIAL_RESULTS) + XDIST_ROWS:
        terminalreporter.section("faults")
        terminalreporter.write_line(render_table(found))
