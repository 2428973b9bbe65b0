"""Databases to migrate: SQLite and PostgreSQL, empty or as they were at commit 466321a.

The two dumps were made by that commit: its eleven migrations, with a row or more in each table.
"""

import os
import re
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import psycopg

HERE = Path(__file__).parent
TIMEOUT_SECONDS = 300


class Database(Protocol):
    """A database that no other test uses."""

    url: str
    dump: Path

    def run(self, statements: str) -> None:
        """Run SQL without parameters; several statements are allowed."""

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of a query, by column name."""

    def schema(self) -> set[str]:
        """Return each part of the schema as a text; the order of columns does not matter."""

    def tables(self) -> list[str]:
        """Return the names of the tables of this project and of django-celery-beat."""


@dataclass(frozen=True)
class SQLite:
    """A file."""

    path: Path
    dump: Path = HERE / "sqlite_at_466321a.sql"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def run(self, statements: str) -> None:
        with self._connect() as connection:
            connection.executescript(statements)

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self._connect() as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query)]

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path)
        yield connection
        connection.close()

    def schema(self) -> set[str]:
        parts: set[str] = set()
        for row in self.rows("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"):
            if row["type"] == "table":
                _, _, columns = row["sql"].partition("(")
                parts |= {f"{row['name']}: {part}" for part in split(columns.rpartition(")")[0])}
            else:
                parts.add(f"{row['type']} {row['name']}: {row['sql']}")
        return parts

    def tables(self) -> list[str]:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        return ours(row["name"] for row in self.rows(query))


@dataclass(frozen=True)
class PostgreSQL:
    """A database of a server."""

    url: str
    dump: Path = HERE / "postgresql_at_466321a.sql"

    def run(self, statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statements.encode())

    def rows(self, query: str) -> list[dict[str, Any]]:
        row_factory = psycopg.rows.dict_row
        with psycopg.connect(self.url, row_factory=row_factory) as connection:
            return connection.execute(query.encode()).fetchall()

    def schema(self) -> set[str]:
        return {
            f"{kind} {plain(' '.join(str(value) for value in row.values()))}"
            for kind, query in POSTGRESQL_SCHEMA.items()
            for row in self.rows(query)
        }

    def tables(self) -> list[str]:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        return ours(row["tablename"] for row in self.rows(query))


POSTGRESQL_SCHEMA = {
    "column": """
        SELECT table_name, column_name, data_type, character_maximum_length, is_nullable,
            column_default, is_identity, generation_expression
        FROM information_schema.columns WHERE table_schema = 'public'
    """,
    "constraint": """
        SELECT conrelid::regclass, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    """,
    "index": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "storage": """
        SELECT relname, reloptions FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND reloptions IS NOT NULL
    """,
    "trigger": """
        SELECT tgenabled, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    """,
    "function": """
        SELECT pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
    """,
}


def plain(sql: str) -> str:
    """Remove casts and parentheses: a dump casts each value of an array in place of the array."""
    return re.sub(r"[()]|::(text|character varying)(\[\])?", "", sql)


def ours(names: Iterator[str]) -> list[str]:
    return sorted(
        name for name in names if name.startswith(("scheduler_api_", "django_celery_beat_"))
    )


def split(columns: str) -> list[str]:
    """Split the columns and constraints of a CREATE TABLE at the commas outside parentheses."""
    parts, depth = [""], 0
    for token in re.findall(r"'[^']*'|.", columns, flags=re.DOTALL):
        depth += (token == "(") - (token == ")")
        if token == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += token
    return [part.strip() for part in parts]


@contextmanager
def new_postgresql(server_url: str) -> Iterator[PostgreSQL]:
    """Create an empty database, and drop it afterwards."""
    name = f"migrations_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield PostgreSQL(urlsplit(server_url)._replace(path=f"/{name}").geturl())
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def migrate(database: Database, *, data_dir: Path) -> str:
    """Run `manage.py migrate`; return its output."""
    environ = {**os.environ, "DATABASE_URL": database.url, "DATA_DIR": str(data_dir)}
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--no-color"],
        env=environ,
        cwd=HERE.parent.parent,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
