"""The API in processes of its own, for raw bytes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.service import Api


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API as it is deployed, with a bound on connections that the tests can reach."""
    with running(tmp_path_factory.mktemp("server"), API_CONNECTIONS_PER_ADDRESS="50") as api:
        yield api


def running(folder: Path, **settings: str) -> Api:
    """Return the API, to be started in a `with`, without limits that the tests would meet."""
    limits = dict.fromkeys(("RATE_LIMIT", "FAILED_AUTHENTICATION_LIMIT"), "1000000")
    return Api(folder, **limits, **settings)
