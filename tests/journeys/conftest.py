"""The services that journeys run on."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from kombu import Connection

from tests.journeys.service import Service


@pytest.fixture
def queue() -> str:
    """Return a name that no other run of the tests uses on the same broker."""
    return f"journey-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """Return the address of an empty database, which goes with the test."""
    name = f"journey_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


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
    with Connection(rabbitmq_url) as connection:
        connection.default_channel.queue_delete(queue)


@pytest.fixture
def on_redis(tmp_path: Path, queue: str, redis_url: str) -> Iterator[Service]:
    """Run it on Redis and SQLite."""
    with Service(tmp_path, BROKER_URL=redis_url, QUEUES=queue) as service:
        yield service


@pytest.fixture(params=["embedded", "on_servers", "on_redis"])
def service(request: pytest.FixtureRequest) -> Service:
    """Run a journey on each kind of broker and database."""
    running: Service = request.getfixturevalue(request.param)
    return running
