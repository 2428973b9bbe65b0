"""The sample entries: in the embedded database, and never in an adopted one."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from project.embedded.samples import SAMPLE_ENTRIES, sample_entries

STOCK = """
CREATE TABLE django_celery_beat_periodictask (id integer primary key, name text);
"""
OURS = f"""
{STOCK}
CREATE TABLE scheduler_api_managedtask (periodic_task_id integer primary key, managed_by text);
"""
MINE = "INSERT INTO django_celery_beat_periodictask VALUES (1, 'mine');"
NAMESAKE = "INSERT INTO django_celery_beat_periodictask VALUES (2, 'heartbeat');"


def managed(pk: int, by: str) -> str:
    return f"INSERT INTO scheduler_api_managedtask VALUES ({pk}, '{by}');"


@pytest.mark.parametrize(
    ("script", "has_samples"),
    [
        ("", True),
        (STOCK, True),
        (OURS, True),
        (OURS + NAMESAKE + managed(2, "settings"), True),
        (OURS + MINE + NAMESAKE + managed(2, "settings"), True),
        (STOCK + MINE, False),
        (STOCK + NAMESAKE, False),
        (OURS + MINE, False),
        (OURS + NAMESAKE, False),
        (OURS + MINE + managed(1, "settings"), False),
        (OURS + NAMESAKE + managed(2, "api"), False),
    ],
)
def test_database_gets_samples_unless_others_have_filled_it(
    tmp_path: Path, script: str, has_samples: bool
) -> None:
    file = tmp_path / "db.sqlite3"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)

    assert sample_entries(file) == (SAMPLE_ENTRIES if has_samples else {})


def test_new_database_gets_samples_and_a_broken_file_none(tmp_path: Path) -> None:
    assert sample_entries(tmp_path / "new.sqlite3") == SAMPLE_ENTRIES
    assert not (tmp_path / "new.sqlite3").exists()

    (tmp_path / "broken.sqlite3").write_text("no database " * 100)
    assert sample_entries(tmp_path / "broken.sqlite3") == {}


PRINT = "from project import settings; print(sorted(settings.CELERY_BEAT_SCHEDULE))"


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({}, sorted(SAMPLE_ENTRIES)),
        ({"DATABASE_URL": "postgres://someone@127.0.0.1:1/theirs"}, []),
        ({"DATABASE_URL": "sqlite:////tmp/theirs.sqlite3"}, []),
    ],
    ids=str,
)
def test_only_the_embedded_database_gets_samples(
    processes: Any, environ: dict[str, str], names: list[str]
) -> None:
    started = processes.start("-c", PRINT, **environ)

    assert started.exit_code() == 0
    assert str(names) in started.output()
