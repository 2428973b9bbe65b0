"""The servers and programs that some tests need: where they are, and whether they answer.

A test that needs one skips with the reason where it does not answer; with REQUIRE_SERVICES=1
it fails instead. `python -m tests.services ARGUMENTS` runs pytest with these arguments on
PostgreSQL where that answers, and says so where not.
"""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pytest
from kombu import Connection

REQUIRED = os.environ.get("REQUIRE_SERVICES") == "1"
PATIENCE_SECONDS = 3


def ask_broker(url: str) -> None:
    """Raise unless a broker answers at `url`."""
    with Connection(url, connect_timeout=PATIENCE_SECONDS) as connection:
        try:
            connection.connect()
        except (*connection.connection_errors, *connection.channel_errors) as error:
            raise ConnectionError(error) from error


def ask_postgres(url: str) -> None:
    """Raise unless PostgreSQL answers at `url`."""
    try:
        psycopg.connect(url, connect_timeout=PATIENCE_SECONDS).close()
    except psycopg.OperationalError as error:
        raise ConnectionError(error) from error


@dataclass(frozen=True, kw_only=True)
class Service:
    """A server, and the variable that says where it is."""

    name: str
    variable: str
    default: str
    ask: Callable[[str], None]

    @property
    def url(self) -> str:
        return os.environ.get(self.variable) or self.default

    def missing(self) -> str:
        """Return why it cannot be used; nothing when it can."""
        try:
            self.ask(self.url)
        except ConnectionError as error:
            # A driver's message may have several lines.
            reason = " ".join(str(error).split())
            return f"{self.name} ({self.variable}) does not answer at {self.url}: {reason}"
        return ""


RABBITMQ = Service(
    name="RabbitMQ",
    variable="TEST_BROKER_URL",
    default="amqp://guest:guest@127.0.0.1:5672",
    ask=ask_broker,
)
POSTGRES = Service(
    name="PostgreSQL",
    variable="TEST_DATABASE_URL",
    default="postgres://postgres@127.0.0.1:5432/test",
    ask=ask_postgres,
)
REDIS = Service(
    name="Redis",
    variable="TEST_REDIS_URL",
    default="redis://127.0.0.1:6379/0",
    ask=ask_broker,
)


def url_of(service: Service) -> str:
    """Return where the service is; skip the test, or fail it, where it does not answer."""
    if reason := service.missing():
        do_without(reason)
    return service.url


def do_without(reason: str) -> None:
    """Skip the test; fail it where every service is required."""
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
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("TEST_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not path:
        do_without("Chromium is not installed; TEST_CHROMIUM names one elsewhere")
    return path


def main() -> int:
    """Run pytest on PostgreSQL."""
    if reason := POSTGRES.missing():
        sys.stderr.write(f"{reason}: the API tests ran on SQLite only.\n")
        return int(REQUIRED)
    os.environ["DATABASE_URL"] = POSTGRES.url
    return pytest.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
