"""The servers and programs that some tests need: their addresses, and whether they answer.

A test whose server does not answer is skipped with the reason; with REQUIRE_SERVICES=1 it fails.

`python -m tests.services ARGUMENTS` runs pytest with these arguments on PostgreSQL, and prints a
warning if PostgreSQL does not answer. `make test` runs the packages in RUN_ON_POSTGRESQL that way,
and runs only their tests marked `both_databases` on SQLite as well. If PostgreSQL does not answer,
SQLite runs all of them. By itself, pytest runs all tests on SQLite.
"""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from kombu import Connection

REQUIRED = os.environ.get("REQUIRE_SERVICES") == "1"
CONNECT_TIMEOUT_SECONDS = 3
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
RUN_ON_POSTGRESQL = [
    Path(__file__).parent / package for package in ("api", "runs", "scheduler", "worker")
]


def connect_to_broker(url: str) -> None:
    """Raise ConnectionError unless a broker answers at `url`."""
    with Connection(url, connect_timeout=CONNECT_TIMEOUT_SECONDS) as connection:
        try:
            connection.connect()
        except (*connection.connection_errors, *connection.channel_errors) as error:
            raise ConnectionError(error) from error


def connect_to_postgres(url: str) -> None:
    """Raise ConnectionError unless PostgreSQL answers at `url`."""
    try:
        psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_SECONDS).close()
    except psycopg.OperationalError as error:
        raise ConnectionError(error) from error


@dataclass(frozen=True, kw_only=True)
class Service:
    """A server, and the environment variable that holds its URL."""

    name: str
    variable: str
    default: str
    connect: Callable[[str], None]

    @property
    def url(self) -> str:
        return os.environ.get(self.variable) or self.default

    def missing(self) -> str:
        """Return why the server cannot be used, or an empty string if it can."""
        try:
            self.connect(self.url)
        except ConnectionError as error:
            # A driver's message may have several lines.
            reason = " ".join(str(error).split())
            return f"{self.name} ({self.variable}) does not answer at {self.url}: {reason}"
        return ""


RABBITMQ = Service(
    name="RabbitMQ",
    variable="TEST_BROKER_URL",
    default="amqp://guest:guest@127.0.0.1:5672",
    connect=connect_to_broker,
)
POSTGRES = Service(
    name="PostgreSQL",
    variable="TEST_DATABASE_URL",
    default="postgres://postgres@127.0.0.1:5432/test",
    connect=connect_to_postgres,
)
REDIS = Service(
    name="Redis",
    variable="TEST_REDIS_URL",
    default="redis://127.0.0.1:6379/0",
    connect=connect_to_broker,
)


def url_of(service: Service) -> str:
    """Return the URL of a server; skip or fail the test if it does not answer."""
    if reason := service.missing():
        skip_or_fail(reason)
    return service.url


def skip_or_fail(reason: str) -> None:
    """Skip the test, or fail it if every service is required."""
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    return url_of(RABBITMQ)


@pytest.fixture(scope="session")
def postgres_url() -> str:
    return url_of(POSTGRES)


@pytest.fixture(scope="session")
def redis_url() -> str:
    return url_of(REDIS)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium that a test may drive."""
    path = find_chromium()
    if not path:
        skip_or_fail("Chromium is not installed; set TEST_CHROMIUM to the path of another one")
    return path


def find_chromium() -> str:
    """Return the program that TEST_CHROMIUM names, else an installed one; empty without any."""
    names = (os.environ.get("TEST_CHROMIUM", ""), *CHROMIUMS)
    return next(filter(None, map(shutil.which, names)), "")


# --- Tests on two databases -------------------------------------------------------------------


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect, for `make test` on SQLite, the tests that PostgreSQL alone runs."""
    is_split = os.environ.get("SPLIT_DATABASES") == "1"
    if not is_split or connection.vendor != "sqlite" or POSTGRES.missing():
        return
    deselected = [item for item in items if is_for_postgresql_alone(item)]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if not is_for_postgresql_alone(item)]


def is_for_postgresql_alone(item: pytest.Item) -> bool:
    is_on_postgresql = any(package in item.path.parents for package in RUN_ON_POSTGRESQL)
    return is_on_postgresql and not item.get_closest_marker("both_databases")


def main() -> int:
    """Run pytest on PostgreSQL."""
    if reason := POSTGRES.missing():
        sys.stderr.write(f"{reason}: the tests run on SQLite only.\n")
        return int(REQUIRED)
    os.environ["DATABASE_URL"] = POSTGRES.url
    return pytest.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
