"""Services, databases and queues for the journeys."""

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

# These modules hold no tests, but pytest explains their failed assertions, too.
pytest.register_assert_rewrite(
    *(f"tests.journeys.{name}" for name in ("killed", "ledger", "overlapping"))
)


@pytest.fixture
def queue() -> str:
    """Return a queue name that no other test run uses on the same broker."""
    return new_queue()


def new_queue() -> str:
    return f"journey-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """Return the URL of an empty database, which is dropped with its user after the test."""
    with new_database(postgres_url) as url:
        yield url


@contextmanager
def new_database(postgres_url: str) -> Iterator[str]:
    """Yield the URL of an empty database, and drop the database and its user afterwards."""
    name, password = f"journey_{uuid.uuid4().hex[:8]}", make_canary()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        connection.execute(f"CREATE DATABASE {name} OWNER {name}")
        yield url_for_user(postgres_url, name, password, path=f"/{name}")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        connection.execute(f"DROP ROLE {name}")


@contextmanager
def new_redis_user(redis_url: str) -> Iterator[str]:
    """Yield the URL of Redis for a new user, and delete the user afterwards."""
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
        yield url_for_user(redis_url, name, password)
        redis.acl_deluser(name)


def url_for_user(url: str, user: str, password: str, **parts: str) -> str:
    """Return a URL with another user."""
    *_, host = urlsplit(url).netloc.rpartition("@")
    return urlsplit(url)._replace(netloc=f"{user}:{password}@{host}", **parts).geturl()


# --- Services -----------------------------------------------------------------------------------
#
# A shared service serves all tests that ask for its kind: its start takes as long as most tests.
# tests/distribution.py names their modules, and keeps them in one process. A test that stops a
# service, kills its processes or needs settings starts its own.


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A shared service on SQLite and the file broker, as `make up` runs it."""
    with Service(tmp_path_factory.mktemp("embedded")) as service:
        yield service


@pytest.fixture(scope="session")
def on_servers(
    tmp_path_factory: pytest.TempPathFactory, rabbitmq_url: str, postgres_url: str
) -> Iterator[Service]:
    """A shared service on RabbitMQ and PostgreSQL."""
    folder = tmp_path_factory.mktemp("on_servers")
    with service_on_servers(folder, rabbitmq_url, postgres_url) as service:
        yield service


@contextmanager
def service_on_servers(
    folder: Path, rabbitmq_url: str, postgres_url: str, **settings: str
) -> Iterator[Service]:
    """Run a service on RabbitMQ and PostgreSQL, with a queue and a database of its own."""
    queue = new_queue()
    urls = {"BROKER_URL": rabbitmq_url, "QUEUES": queue}
    with new_database(postgres_url) as database:
        with Service(folder, DATABASE_URL=database, **urls, **settings) as service:
            yield service
        delete_queues(rabbitmq_url, queue)


def delete_queues(broker_url: str, *queues: str) -> None:
    """Delete the queues and exchanges that a service has declared."""
    with Connection(broker_url) as connection:
        for name in queues:
            connection.default_channel.queue_delete(name)
            connection.default_channel.exchange_delete(name)


@pytest.fixture(scope="session")
def on_redis(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Service]:
    """A shared service on Redis and SQLite."""
    with (
        new_redis_user(redis_url) as url,
        Service(
            tmp_path_factory.mktemp("on_redis"), BROKER_URL=url, QUEUES=new_queue()
        ) as service,
    ):
        yield service


@pytest.fixture(params=["embedded", "on_servers", "on_redis"])
def service(request: pytest.FixtureRequest) -> Service:
    """A shared service on each kind of broker and database."""
    running: Service = request.getfixturevalue(request.param)
    return running
