"""Fake secrets of tests, and the search for them where none may be.

A canary stands for a secret argument: it may be where the arguments of a periodic task are kept,
and nowhere else. The text of a key may be nowhere. Each test that has the database is followed by
a search of all of it, and each line that any test logs, at any level, is searched as it is logged.
"""

import logging
import re
import uuid
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import connection

from project.logs import JSONFormatter

# A part of a secret is as bad as the whole.
CANARY = re.compile("canary-[0-9a-f]{4,}")
KEY = re.compile(r"sk_[0-9a-f]{8}_[\w-]{4,}")
# Where the worker's arguments are, and have to be.
ARGUMENTS = {
    *(("django_celery_beat_periodictask", name) for name in ("args", "kwargs", "headers")),
    *(("scheduler_api_run", name) for name in ("args", "kwargs", "options")),
}
TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
}


def make_canary() -> str:
    return f"canary-{uuid.uuid4().hex}"


def secret_part(key: str) -> str:
    """Return what of a key's text is secret, without the prefix that names it."""
    return key.split("_", 2)[2]


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What is searched for: canaries, the texts of keys, and other texts, each with its name."""

    texts: dict[str, str] = field(default_factory=dict)

    def add_password_of(self, name: str, url: str) -> None:
        """Add the password of a URL, as it stands there, and as it is sent."""
        for each in url.split(";"):
            if password := urlsplit(each).password:
                # By itself, a word such as guest may stand anywhere.
                self.texts[f":{password}@"] = f"password of {name}"
                if len(password) > 12:
                    self.texts[password] = self.texts[unquote(password)] = f"password of {name}"

    def found_in(self, text: str, *, may_have_canaries: bool = False) -> list[str]:
        """Say what of them a text has."""
        canaries = [] if may_have_canaries else CANARY.findall(text)
        others = [name for secret, name in self.texts.items() if secret in text]
        return list(dict.fromkeys([*canaries, *KEY.findall(text), *others]))


def tables_in(cursor: Any, vendor: str) -> list[str]:
    """Return the names of all tables of a database."""
    cursor.execute(TABLES[vendor])
    return [name for (name,) in cursor.fetchall()]


def found_in_database(cursor: Any, vendor: str, secrets: Secrets) -> list[str]:
    """Say which secret stands in which column of the whole database."""
    found = []
    for table in tables_in(cursor, vendor):
        cursor.execute(f'SELECT * FROM "{table}"')
        columns = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
        # All at once first: there are many tables, and most have nothing.
        if not secrets.found_in(repr(rows)):
            continue
        for column, values in zip(columns, zip(*rows, strict=True), strict=True):
            is_argument = (table, column) in ARGUMENTS
            what = secrets.found_in(repr(values), may_have_canaries=is_argument)
            found += [f"{table}.{column} has {each}" for each in what]
    return found


def found_in_test_database(secrets: Secrets) -> list[str]:
    """Say which secret stands in which column of the database that the tests use."""
    if connection.closed_in_transaction:  # by the test, and with it went all that it stored
        return []
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # A query for each table would take longer than most tests.
            cursor.execute(whole_dump())
            if not secrets.found_in(cursor.fetchone()[0]):
                return []
        return found_in_database(cursor, connection.vendor, secrets)


@cache
def whole_dump() -> str:
    """Return a query for the text of all tables of PostgreSQL."""
    with connection.cursor() as cursor:
        tables = tables_in(cursor, connection.vendor)
    lines = " UNION ALL ".join(f'SELECT t::text AS line FROM "{name}" t' for name in tables)
    return f"SELECT string_agg(line, ' ') FROM ({lines}) AS dump"


class LogSearch(logging.Handler):
    """Searches each record, as the product would log it in JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JSONFormatter())
        self.secrets = Secrets()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        self.found += [
            f"{record.name} logged {what}: {line}" for what in self.secrets.found_in(line)
        ]

    def attach(self) -> None:
        """Receive all levels of all loggers, and keep the levels of the other handlers."""
        root = logging.getLogger()
        if self in root.handlers and root.level == logging.NOTSET:
            return
        for handler in root.handlers:
            if handler.level == logging.NOTSET:
                handler.setLevel(settings.LOGGING["root"]["level"])
        root.addHandler(self)
        root.setLevel(logging.NOTSET)

    def take(self) -> list[str]:
        """Return what was found since the last time."""
        found, self.found = self.found, []
        return found


LOGS = LogSearch()
