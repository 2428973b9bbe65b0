"""Search the output, files, database and messages of a stopped service for its secrets."""

import json
import sqlite3
import uuid
from base64 import b64decode
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from celery.events.event import event_exchange
from kombu import Connection, Message, Queue
from kombu.pidbox import Mailbox

from tests.canaries import Secrets, found_in_database, secret_part

EVENTS = "events"
# A custom header of a periodic task may hold a secret for the worker, too.
OWN_HEADER = "x-token"
# Of a queue that a failed test did not delete.
EXPIRES_SECONDS = 600


class Traces:
    """The output, the files, the database and the messages of a service."""

    def __init__(self, environment: Mapping[str, str], output_file: Path) -> None:
        self.environment = environment
        self.output_file = output_file
        self.data_dir = Path(environment["DATA_DIR"])
        self.key_file = self.data_dir / "admin.key"
        self.secret_key_file = self.data_dir / "secret.key"
        self.queues = environment.get("QUEUES", "celery").split(",")
        self.events: Queue | None = None
        self.messages: list[tuple[str, Message]] = []

    def found(self) -> list[str]:
        """Return a sentence for each secret found."""
        secrets = self.secrets()
        return [
            *self.found_in_output(secrets),
            *self.found_in_database(secrets),
            *self.found_in_messages(secrets),
            *self.found_in_files(secrets),
        ]

    def secrets(self) -> Secrets:
        """Return the secrets that the service keeps, or was started with."""
        secrets = Secrets()
        secrets.texts[secret_part(self.key_file.read_text().strip())] = "the administrator's key"
        secrets.texts[self.secret_key_file.read_text()] = "SECRET_KEY"
        for name in ("DATABASE_URL", "BROKER_URL"):
            secrets.add_password_of(name, self.environment.get(name, ""))
        return secrets

    def found_in_output(self, secrets: Secrets) -> list[str]:
        """Search the output of its processes."""
        text = self.output_file.read_text(errors="replace")
        return [f"the output has {each}" for each in secrets.found_in(text)]

    def found_in_database(self, secrets: Secrets) -> list[str]:
        """Search all columns of all tables."""
        if url := self.environment.get("DATABASE_URL"):
            with psycopg.connect(url) as connection:
                return found_in_database(connection.cursor(), "postgresql", secrets)
        with closing(sqlite3.connect(self.data_dir / "db.sqlite3")) as connection:
            return found_in_database(connection.cursor(), "sqlite", secrets)

    def found_in_files(self, secrets: Secrets) -> list[str]:
        """Search the files of DATA_DIR; the two key files may hold their own secret only."""
        found = []
        for path in filter(Path.is_file, self.data_dir.rglob("*")):
            text = path.read_text("latin-1")
            if path in {self.key_file, self.secret_key_file}:
                text = text.partition("\n")[2]
            if path.suffix == ".msg":
                text += b64decode(json.loads(text)["body"]).decode("latin-1")
            # SQLite's file has everything that was ever stored, arguments included.
            is_database = path.name.startswith("db.sqlite3")
            what = secrets.found_in(text, may_have_canaries=is_database)
            found += [f"{path.name} has {each}" for each in what]
        return found

    # --- Messages -------------------------------------------------------------------------------

    def connect(self) -> Connection:
        """Connect to its broker."""
        if url := self.environment.get("BROKER_URL"):
            return Connection(url)
        folder = self.data_dir / "broker"
        options = {
            "data_folder_in": str(folder / "messages"),
            "data_folder_out": str(folder / "messages"),
            "control_folder": str(folder / "exchanges"),
        }
        return Connection("filesystem://", transport_options=options)

    def control(self, command: str, **arguments: str | bool) -> None:
        """Send a control command to the workers, as a monitor does."""
        with self.connect() as connection:
            mailbox = Mailbox("celery", type="fanout", accept=["json"])(connection)
            mailbox.abcast(command, arguments)

    def keep_events(self) -> None:
        """Enable the events of the workers, and collect them in a queue."""
        with self.connect() as connection:
            name = f"events-{uuid.uuid4().hex[:8]}"
            self.events = Queue(name, event_exchange, routing_key="#", expires=EXPIRES_SECONDS)
            self.events(connection.default_channel).declare()
        self.control("enable_events")

    def collect(self, *names: str) -> None:
        """Take all messages out of these queues, for `found_in_messages`."""
        with self.connect() as connection:
            for name in names:
                queue = self.events if name == EVENTS else Queue(name)
                bound = queue(connection.default_channel)
                while message := bound.get(no_ack=True):
                    self.messages.append((name, message))

    def bodies(self, name: str) -> list[Any]:
        """Return the bodies of the messages collected from a queue."""
        return [message.payload for queue, message in self.messages if queue == name]

    def found_in_messages(self, secrets: Secrets) -> list[str]:
        """Search the messages: only the body of a message to a task may hold a canary."""
        self.collect(*self.queues)
        if self.events:
            self.collect(EVENTS)
            with self.connect() as connection:
                self.events(connection.default_channel).delete()
        found = []
        for name, message in self.messages:
            headers = without(OWN_HEADER, message.headers)
            properties = without("application_headers", message.properties)  # the headers again
            about = repr([headers, properties, message.delivery_info])
            found += [f"{name}: the headers have {each}" for each in secrets.found_in(about)]
            what = secrets.found_in(str(message.body), may_have_canaries=name != EVENTS)
            found += [f"{name}: the body has {each}" for each in what]
        return found


def without(name: str, members: Mapping[str, object]) -> dict[str, object]:
    """Return all members except one."""
    return {each: value for each, value in members.items() if each != name}
