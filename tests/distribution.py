"""How xdist distributes the tests: a file, or a group of tests, stays in one process.

The tests of a group share a service or servers. xdist starts files and groups in the order of the
tests, so the longest come first: or else one process would be busy with them at the end, and the
others have nothing left to do.

The groups are found by the ids of tests, since xdist's own mark `xdist_group` has no effect with
pytest 9: it is added to an attribute that pytest no longer reads.
"""

import re

import pytest
from xdist.scheduler import LoadFileScheduling

# Journeys on the shared services of tests/journeys/conftest.py.
SHARING = re.compile(
    r"tests/journeys/test_(define_and_run|examples|fifty_at_once|operating|pause|python_client|"
    r"readme|typescript_client)\.py::[^[]*(\[(?P<kind>on_servers|on_redis))?"
)
# Long journeys with a service for each broker: each broker is a group.
BY_BROKER = re.compile(
    r"(?P<file>tests/journeys/test_(runs|shared_queues)\.py)::[^[]*"
    r"\[(.+-)?(?P<kind>embedded|on_files|on_servers|on_rabbitmq|on_redis)[]-]"
)
# Faults that harm the servers run alone; the others are marked `calm` and overlap.
HARMFUL = re.compile(
    r"tests/faults/test_(03_|04_|13_|07_database\.py::test_postgres_stopped|14_).*"
)
CALM = re.compile(r"tests/faults/test_\d\d_.*")

LONGEST_FIRST = [
    "tests/journeys/test_ends.py",
    "tests/journeys/test_runs.py",
    "tests/contract/test_fuzzing_",
    "tests/journeys/",
    "tests/deploy/",
    "tests/embedded/",
]


def group_of(nodeid: str) -> str:
    """Return the group of a test, by default its file."""
    if found := SHARING.match(nodeid):
        return f"journeys {found['kind'] or 'embedded'}"
    if found := BY_BROKER.match(nodeid):
        return f"{found['file']} {found['kind']}"
    if HARMFUL.match(nodeid):
        return "harmful faults"
    if CALM.match(nodeid):
        return "calm faults"
    return nodeid.partition("::")[0]


class FilesAndGroups(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FilesAndGroups | None:
    return FilesAndGroups(config, log) if config.option.dist == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=rank)


def rank(item: pytest.Item) -> int:
    """Return the position of a test's file in LONGEST_FIRST."""
    matches = (item.nodeid.startswith(prefix) for prefix in LONGEST_FIRST)
    return next((place for place, is_match in enumerate(matches) if is_match), len(LONGEST_FIRST))
