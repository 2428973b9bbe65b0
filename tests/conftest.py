"""Fixtures of all tests."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from hypothesis import settings as hypothesis_settings
from whitenoise.middleware import WhiteNoiseMiddleware

from tests.canaries import LOGS, Secrets, found_in_test_database, make_canary, secret_part
from tests.client import ContractClient

pytest_plugins = ["tests.distribution", "tests.processes", "tests.services"]

# The same examples each time, or else CI fails for a change that has nothing to do with it. `make
# fuzz` tries random ones, and prints how to repeat one that fails.
hypothesis_settings.register_profile("fixed", derandomize=True, deadline=None)
hypothesis_settings.register_profile("random", deadline=None, print_blob=True)
hypothesis_settings.load_profile("fixed")


@pytest.fixture
def api(db: None) -> ContractClient:
    """Call the API as `admin`; each response must be as openapi.yaml says."""
    return caller("tests", scopes=["admin"])


def caller(name: str, **account: Any) -> ContractClient:
    """Make an account with a key, and return a client that calls the API with it."""
    from scheduler_api.access.models import ApiKey, ServiceAccount  # noqa: PLC0415 - after setup()

    owner = ServiceAccount.objects.create(name=name, **account)
    _, text = ApiKey.issue(owner, last_used_at=datetime.now(UTC))
    LOGS.secrets.texts[secret_part(text)] = f"the key of {name}"
    client = ContractClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


@pytest.fixture(autouse=True)
def _nothing_is_remembered_of_workers() -> None:
    """Forget the workers and tasks that an earlier test has announced."""
    from scheduler_api.catalogue.task_lookup import announced_names  # noqa: PLC0415 - after setup()

    announced_names.invalidate()


@pytest.fixture(scope="session", autouse=True)
def _static_files_are_scanned_once() -> Iterator[None]:
    """Keep the static files that WhiteNoise finds, for each later client of this process.

    Each client builds the middleware anew, and WhiteNoise would scan 171 files each time: a third
    of the time of the tests of the API.
    """
    scan = WhiteNoiseMiddleware.add_files_from_finders
    found: dict[str, Any] = {}

    def scan_once(whitenoise: WhiteNoiseMiddleware) -> None:
        if not found:
            scan(whitenoise)
            found.update(whitenoise.files)
        whitenoise.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", scan_once)
        yield


# --- Secrets ----------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Search the log of each test, even if an earlier test has configured logging."""
    LOGS.attach()


@pytest.fixture
def canary() -> str:
    """A unique text that stands for a secret."""
    return make_canary()


@pytest.fixture(autouse=True)
def secrets(request: pytest.FixtureRequest) -> Iterator[Secrets]:
    """Fail a test that has stored or logged a secret; a test may add more secrets."""
    has_database = "db" in request.fixturenames or request.node.get_closest_marker("django_db")
    if has_database:
        request.getfixturevalue("db")  # set up first, so that it is rolled back after the search
    LOGS.secrets = Secrets(texts={settings.SECRET_KEY: "SECRET_KEY"})
    LOGS.secrets.add_password_of("DATABASE_URL", os.environ.get("DATABASE_URL", ""))
    yield LOGS.secrets
    found = LOGS.take()
    if has_database:
        found += found_in_test_database(LOGS.secrets)
    assert not found, "\n".join(found)


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_logged_between_tests() -> Iterator[None]:
    yield
    assert not LOGS.found, "\n".join(LOGS.found)
