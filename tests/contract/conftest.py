"""The service that is fuzzed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from tests.contract.fuzzer import HERE
from tests.journeys.conftest import postgres_database  # noqa: F401 - a fixture
from tests.journeys.service import Api


@pytest.fixture
def api_alone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    """Run the API alone, so that what the fuzzer defines is sent to no worker.

    Its database is of the kind that the tests run on.
    """
    # A fuzzer is in a hurry.
    settings = dict.fromkeys(("RATE_LIMIT", "FAILED_AUTHENTICATION_LIMIT"), "1000000")
    if connection.vendor == "postgresql":
        settings["DATABASE_URL"] = request.getfixturevalue("postgres_database")
    with Api(tmp_path, **settings) as api:
        api.manage("loaddata", str(HERE / "run.json"), str(HERE / "webhook.json"))
        yield api
