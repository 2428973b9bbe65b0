"""The search of the traces of a service finds planted secrets, wherever they are."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from celery.events.event import event_exchange
from kombu import Producer, Queue

from tests.journeys.traces import EVENTS, OWN_HEADER, Traces

KEY = "sk_0123abcd_" + "x" * 43
ANOTHER_KEY = "sk_4567cdef_" + "y" * 43
SECRET_KEY = "a-secret-key-that-is-long-enough"
PASSWORD = "correct-horse-battery"
# As much of the table as there is to search.
TASKS = "django_celery_beat_periodictask"
TABLE = f"CREATE TABLE {TASKS} (description text, args text, kwargs text, headers text)"


@pytest.fixture
def environment(tmp_path: Path, queue: str) -> dict[str, str]:
    """Return that of a service on SQLite and files."""
    return {"DATA_DIR": str(tmp_path / "data"), "QUEUES": queue}


@pytest.fixture
def traces(tmp_path: Path, environment: dict[str, str]) -> Traces:
    """Return those of a service that keeps its secrets."""
    traces = Traces(environment, tmp_path / "output.log")
    for folder in ("messages", "exchanges"):
        (traces.data_dir / "broker" / folder).mkdir(parents=True)
    traces.output_file.write_text("Here it is.\n")
    traces.key_file.write_text(f"{KEY}\n")
    traces.secret_key_file.write_text(SECRET_KEY)
    with closing(sqlite3.connect(traces.data_dir / "db.sqlite3")) as connection:
        connection.execute(TABLE)
    return traces


def test_service_that_keeps_its_secrets_is_not_complained_of(traces: Traces) -> None:
    assert traces.found() == []


# --- Output and files -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("output.log", "the output"),
        ("data/broker/notes", "notes"),
        ("data/admin.key", "admin.key"),
        ("data/secret.key", "secret.key"),
    ],
)
def test_each_secret_is_found_in_a_file(
    traces: Traces, tmp_path: Path, file: str, place: str
) -> None:
    secrets = traces.secrets()
    secrets.add_password_of("BROKER_URL", f"amqp://someone:{PASSWORD}@host//")
    planted = {
        "canary-0123abcd": "canary-0123abcd",
        ANOTHER_KEY: ANOTHER_KEY,
        "x" * 43: "the administrator's key",
        SECRET_KEY: "SECRET_KEY",
        PASSWORD: "password of BROKER_URL",
    }
    with (tmp_path / file).open("a") as opened:
        opened.writelines(f"\nIt is {text}." for text in planted)

    found = traces.found_in_output(secrets) + traces.found_in_files(secrets)

    assert sorted(found) == sorted(f"{place} has {what}" for what in planted.values())


def test_password_of_the_environment_is_secret(traces: Traces) -> None:
    for name in ("DATABASE_URL", "BROKER_URL"):
        traces.environment = {name: f"scheme://someone:{PASSWORD}@host"}
        assert traces.secrets().found_in(PASSWORD) == [f"password of {name}"]


# --- The database -----------------------------------------------------------------------------


def insert(cursor: Any, **columns: str) -> None:
    values = ", ".join(f"'{value}'" for value in columns.values())
    cursor.execute(f"INSERT INTO {TASKS} ({', '.join(columns)}) VALUES ({values})")


@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_secret_is_found_in_the_database(
    request: pytest.FixtureRequest, traces: Traces, canary: str, database: str
) -> None:
    if database == "PostgreSQL":
        traces.environment["DATABASE_URL"] = request.getfixturevalue("postgres_database")
        connection: Any = psycopg.connect(traces.environment["DATABASE_URL"])
        connection.execute(TABLE)
    else:
        connection = sqlite3.connect(traces.data_dir / "db.sqlite3")
    with closing(connection):
        insert(connection.cursor(), description=canary, args=canary, kwargs=canary, headers=canary)
        insert(connection.cursor(), args=ANOTHER_KEY, headers=SECRET_KEY)
        connection.commit()

    assert traces.found_in_database(traces.secrets()) == [
        f"{TASKS}.description has {canary}",
        f"{TASKS}.args has {ANOTHER_KEY}",
        f"{TASKS}.headers has SECRET_KEY",
    ]


def test_the_file_of_the_database_may_have_canaries_and_no_other_secret(
    traces: Traces, canary: str
) -> None:
    with closing(sqlite3.connect(traces.data_dir / "db.sqlite3")) as connection:
        insert(connection.cursor(), args=canary, kwargs=ANOTHER_KEY)
        connection.commit()

    assert traces.found_in_files(traces.secrets()) == [f"db.sqlite3 has {ANOTHER_KEY}"]


# --- Messages ---------------------------------------------------------------------------------


@pytest.fixture(params=["files", "RabbitMQ", "Redis"])
def producer(request: pytest.FixtureRequest, traces: Traces, queue: str) -> Iterator[Producer]:
    """Return who sends messages to a service, on each kind of broker."""
    if request.param != "files":
        url = {"RabbitMQ": "rabbitmq_url", "Redis": "redis_url"}[request.param]
        traces.environment["BROKER_URL"] = request.getfixturevalue(url)
    with traces.connect() as connection:
        bound = Queue(queue)(connection.default_channel)
        bound.declare()
        yield Producer(connection)
        bound.delete()


def test_secret_is_found_about_a_message(
    traces: Traces, producer: Producer, queue: str, canary: str
) -> None:
    for body, about in (
        ([[], {"password": canary}], {"headers": {OWN_HEADER: canary}}),
        ([[], {"note": ANOTHER_KEY}], {}),
        ([[], {}], {"headers": {"kwargsrepr": f"'{canary[:16]}…"}}),
        ([[], {}], {"correlation_id": canary}),
    ):
        producer.publish(body, routing_key=queue, **about)

    assert traces.found_in_messages(traces.secrets()) == [
        f"{queue}: the body has {ANOTHER_KEY}",
        f"{queue}: the headers have {canary[:16]}",
        f"{queue}: the headers have {canary}",
    ]


@pytest.mark.parametrize("producer", ["files", "RabbitMQ"], indirect=True)
def test_secret_is_found_in_an_event(traces: Traces, producer: Producer, canary: str) -> None:
    traces.keep_events()
    event = {"type": "task-received", "kwargs": {"password": canary}}
    producer.publish(event, exchange=event_exchange, routing_key="task.received")

    assert traces.found_in_messages(traces.secrets()) == [f"{EVENTS}: the body has {canary}"]


def test_secret_is_found_in_a_message_to_somebody_else(traces: Traces, canary: str) -> None:
    with traces.connect() as connection:
        another = Queue("another")
        Producer(connection).publish({"a": canary}, routing_key="another", declare=[another])
    [file] = traces.data_dir.rglob("*.msg")

    assert traces.found() == [f"{file.name} has {canary}"]
