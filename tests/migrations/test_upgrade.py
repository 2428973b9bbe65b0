"""A database of commit 466321a, with its eleven migrations, becomes one of today."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.migrations.databases import Database, SQLite, migrate, new_postgresql
from tests.services import POSTGRES, url_of

Tables = dict[str, list[dict[str, Any]]]

NEW_TABLES = {"scheduler_api_repeat": "scheduler_api_republication"}
NEW_COLUMNS = {
    ("scheduler_api_agenda", "timing"): "timing_digest",
    ("scheduler_api_agenda", "since_at"): "slots_after_at",
    ("scheduler_api_agenda", "served_at"): "resolved_through_at",
    ("scheduler_api_run", "is_held"): "is_buffered",
    ("scheduler_api_run", "is_to_end"): "is_cancel_requested",
    ("scheduler_api_failurestreak", "since_at"): "first_failed_at",
    ("scheduler_api_beatheartbeat", "trouble"): "publish_error",
    ("scheduler_api_repeat", "again_at"): "not_before_at",
}
ADDED_COLUMNS: dict[str, dict[str, object]] = {
    "scheduler_api_beatheartbeat": {"queue_mismatches": "[]"},
    "scheduler_api_run": {"expires_at": None},
    "scheduler_api_taskspec": {"is_binding": False},
    "scheduler_api_worker": {"queue_mismatches": "[]", "returned_tasks": "[]"},
}
# Installing the triggers marks every task: nothing recorded what was written without them.
MARKED = {"stale": None, "stale_at": None}


@contextmanager
def new_database(vendor: str, folder: Path) -> Iterator[Database]:
    """Create an empty database."""
    if vendor == "sqlite":
        yield SQLite(folder / "db.sqlite3")
    else:
        with new_postgresql(url_of(POSTGRES)) as database:
            yield database


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fresh(vendor: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database that all migrations of today have made."""
    folder = tmp_path_factory.mktemp("fresh")
    with new_database(vendor, folder) as database:
        migrate(database, data_dir=folder)
        yield database


@dataclass(frozen=True, kw_only=True)
class Upgraded:
    """A database of commit 466321a after `migrate`, and what it was before."""

    database: Database
    schema_before: set[str]
    rows_before: Tables
    rows_after: Tables
    output: str


@pytest.fixture(scope="module")
def upgraded(vendor: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    folder = tmp_path_factory.mktemp("upgraded")
    with new_database(vendor, folder) as database:
        database.run(database.dump.read_text())
        schema_before, rows_before = database.schema(), contents(database)
        output = migrate(database, data_dir=folder)
        yield Upgraded(
            database=database,
            schema_before=schema_before,
            rows_before=rows_before,
            rows_after=contents(database),
            output=output,
        )


def contents(database: Database) -> Tables:
    """Return all rows of all tables, sorted; an empty JSON array as SQLite stores it."""
    tables = {
        name: [
            {column: "[]" if value == [] else value for column, value in row.items()}
            for row in database.rows(f'SELECT * FROM "{name}"')
        ]
        for name in database.tables()
    }
    return {name: sorted(rows, key=repr) for name, rows in tables.items()}


def renamed(tables: Tables) -> Tables:
    """Return rows of the old database under the new names."""
    return {
        NEW_TABLES.get(table, table): [
            {NEW_COLUMNS.get((table, column), column): value for column, value in row.items()}
            | ADDED_COLUMNS.get(table, {})
            for row in rows
        ]
        for table, rows in tables.items()
    }


def unmarked(tables: Tables) -> Tables:
    """Return rows without their order, and without the mark on the rows of the agenda."""
    agenda = [row | MARKED for row in tables["scheduler_api_agenda"]]
    return {
        table: sorted((dict(sorted(row.items())) for row in rows), key=repr)
        for table, rows in (tables | {"scheduler_api_agenda": agenda}).items()
    }


def test_upgraded_database_has_the_schema_of_a_fresh_one(fresh, upgraded):
    assert upgraded.database.schema() == fresh.schema() != upgraded.schema_before


def test_upgraded_database_has_its_rows(upgraded):
    assert all(upgraded.rows_before.values()), "a table of the dump is empty"

    assert unmarked(upgraded.rows_after) == unmarked(renamed(upgraded.rows_before))


def test_upgrade_runs_only_the_new_migrations_and_records_all(fresh, upgraded):
    applied = [line.split()[1] for line in upgraded.output.splitlines() if "Applying" in line]

    names = (
        "0004_terms",
        "0005_run_expiry",
        "0006_quarantine",
        "0007_runs_without_definition",
        "0008_queue_state",
    )
    assert applied == [f"scheduler_api.{name}..." for name in names]
    recorded = "SELECT app, name FROM django_migrations ORDER BY app, name"
    assert upgraded.database.rows(recorded) == fresh.rows(recorded)


def test_second_migrate_of_an_upgraded_database_applies_nothing(upgraded, tmp_path):
    assert "No migrations to apply." in migrate(upgraded.database, data_dir=tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE django_celery_beat_periodictask SET queue = 'other' WHERE id = 1",
        "UPDATE django_celery_beat_intervalschedule SET every = 7 WHERE id = 1",
        "UPDATE scheduler_api_managedtask SET jitter_seconds = 9 WHERE periodic_task_id = 1",
    ],
)
def test_change_in_an_upgraded_database_marks_the_task_stale(upgraded, change):
    assert all(row["stale"] for row in upgraded.rows_after["scheduler_api_agenda"])
    upgraded.database.run("UPDATE scheduler_api_agenda SET stale = false;")

    upgraded.database.run(f"{change};")

    stale = "SELECT periodic_task_id FROM scheduler_api_agenda WHERE stale"
    assert upgraded.database.rows(stale) == [{"periodic_task_id": 1}]


@pytest.mark.django_db
def test_models_have_no_change_without_a_migration():
    call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)
