"""The services that journeys run on."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from kombu import Connection

from tests.canaries import make_canary
from tests.journeys.service import Service

# They are no tests, and tell as much where they fail.
pytest.register_assert_rewrite(
    *(f"tests.journeys.{name}" for name in ("killed", "ledger", "overlapping"))
)


@pytest.fixture
def queue() -> str:
    """Return a name that no other run of the tests uses on the same broker."""
    return new_queue()


def new_queue() -> str:
    return f"journey-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """Return the address of an empty database, which goes with the test, and with its user."""
    with new_database(postgres_url) as url:
        yield url


@contextmanager
def new_database(postgres_url: str) -> Iterator[str]:
    """Give the address of an empty database, which goes afterwards, and with its user."""
    name, password = f"journey_{uuid.uuid4().hex[:8]}", make_canary()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        connection.execute(f"CREATE DATABASE {name} OWNER {name}")
        yield address_of(postgres_url, name, password, path=f"/{name}")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        connection.execute(f"DROP ROLE {name}")


@pytest.fixture
def redis_user(redis_url: str) -> Iterator[str]:
    """Return the address of Redis, for a user that goes with the test."""
    with new_redis_user(redis_url) as url:
        yield url


@contextmanager
def new_redis_user(redis_url: str) -> Iterator[str]:
    """Give the address of Redis, for a user that goes afterwards."""
    name, password = f"journey-{uuid.uuid4().hex[:8]}", make_canary()
    with Connection(redis_url) as connection:
        redis = connection.default_channel.client
        redis.acl_setuser(
            name,
            enabled=True,
            passwords=[f"+{password}"],
            categories=["+@all"],
            keys=["*"],
            channels=["*"],
        )
        yield address_of(redis_url, name, password)
        redis.acl_deluser(name)


def address_of(url: str, user: str, password: str, **parts: str) -> str:
    """Return an address with another user."""
    *_, host = urlsplit(url).netloc.rpartition("@")
    return urlsplit(url)._replace(netloc=f"{user}:{password}@{host}", **parts).geturl()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run it on what `make up` brings along, SQLite and files, for all tests of a module."""
    with Service(tmp_path_factory.mktemp("embedded")) as service:
        yield service


@pytest.fixture
def on_servers(
    tmp_path: Path, queue: str, rabbitmq_url: str, postgres_database: str
) -> Iterator[Service]:
    """Run it on RabbitMQ and PostgreSQL."""
    with Service(
        tmp_path, BROKER_URL=rabbitmq_url, DATABASE_URL=postgres_database, QUEUES=queue
    ) as service:
        yield service
    forget(rabbitmq_url, queue)


def forget(broker_url: str, *queues: str) -> None:
    """Delete what a service has declared."""
    with Connection(broker_url) as connection:
        for name in queues:
            connection.default_channel.queue_delete(name)
            connection.default_channel.exchange_delete(name)


@pytest.fixture
def on_redis(tmp_path: Path, queue: str, redis_user: str) -> Iterator[Service]:
    """Run it on Redis and SQLite."""
    with Service(tmp_path, BROKER_URL=redis_user, QUEUES=queue) as service:
        yield service


@pytest.fixture(params=["embedded", "on_servers", "on_redis"])
def service(request: pytest.FixtureRequest) -> Service:
    """Run a journey on each kind of broker and database."""
    running: Service = request.getfixturevalue(request.param)
    return running
