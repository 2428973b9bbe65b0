"""The backup and the restore of docs/production.md, on PostgreSQL."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.conftest import new_database
from tests.journeys.service import ROOT, Api

PAGE = (ROOT / "docs/production.md").read_text()
HOURLY = {
    "name": "Kept",
    "task": "project.tasks.heartbeat",
    "schedule": {"type": "interval", "every": 1, "period": "hours"},
}


def commands_with(program: str) -> str:
    """Return the shell block of the page that calls a program."""
    [block] = [
        block for block in re.findall(r"```sh\n(.+?)```", PAGE, re.DOTALL) if program in block
    ]
    return block


def pasted(script: str, folder: Path, **environment: str) -> None:
    python = f"{sys.executable} {ROOT}/manage.py"
    subprocess.run(
        ["bash", "-euc", script.replace(".venv/bin/python manage.py", python)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        check=True,
    )


def rows_of(api: Api) -> list[object]:
    rows: list[object] = json.loads(api.manage("dumpdata", "django_celery_beat", "scheduler_api"))
    return rows


def test_restored_backup_has_every_row_and_a_sound_agenda(
    tmp_path: Path, postgres_url: str, postgres_database: str
) -> None:
    if not (shutil.which("pg_dump") and shutil.which("pg_restore")):
        pytest.skip("pg_dump and pg_restore are not installed")
    (first, second) = (tmp_path / "first", tmp_path / "second")
    for folder in (first, second):
        folder.mkdir()

    with Api(first, DATABASE_URL=postgres_database) as api:
        status, _ = api.call("POST", "/api/v1/periodic-tasks/", HOURLY)
        assert status == 201
        stored = rows_of(api)
        pasted(commands_with("pg_dump"), tmp_path, DATABASE_URL=postgres_database)

    with new_database(postgres_url) as empty:
        pasted(
            commands_with("pg_restore"),
            tmp_path,
            DATABASE_URL=empty,
            DATA_DIR=str(second / "data"),
        )
        with Api(second, DATABASE_URL=empty) as restored:
            found = rows_of(restored)  # with a second key, for this process
            assert [row for row in stored if row not in found] == []
