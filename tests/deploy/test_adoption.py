"""The commands of docs/beat.md that adopt a database, on one of the stock scheduler."""

import json
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT, Processes, wait_until

PAGE = (ROOT / "docs/beat.md").read_text()
[(SHOWN, MIGRATE)] = re.findall(r"<!-- adopts: (.+?) -->\n```sh\n(.+?)```", PAGE, re.DOTALL)
[START] = re.findall(r"<!-- starts -->\n```sh\n(.+?)```", PAGE, re.DOTALL)
[LOOK] = re.findall(r"<!-- lists -->\n```sh\n(.+?)```", PAGE, re.DOTALL)

HOURLY = "INSERT INTO django_celery_beat_intervalschedule VALUES (1, 1, 'hours')"
TASK = """
INSERT INTO django_celery_beat_periodictask (
    id, name, task, args, kwargs, headers, description, enabled, one_off, interval_id,
    last_run_at, total_run_count, date_changed
) VALUES (?, ?, ?, ?, '{}', '{}', '', 1, 0, 1, ?, 7, ?)
"""
ROWS = """
SELECT name, task, args, queue, enabled, interval_id FROM django_celery_beat_periodictask
ORDER BY id
"""


@pytest.fixture
def theirs(processes: Processes, tmp_path: Path) -> Path:
    """A database of the stock scheduler alone: its tasks ran 90 minutes ago."""
    file = tmp_path / "theirs.sqlite3"
    migrated = processes.start(
        "manage.py", "migrate", "django_celery_beat", DATABASE_URL=f"sqlite:///{file}"
    )
    assert migrated.exit_code(within=60) == 0, migrated.output()
    ran_at = f"{datetime.now(UTC) - timedelta(minutes=90):%Y-%m-%d %H:%M:%S}"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(HOURLY)
        for number, (name, task, args) in enumerate(
            [
                ("theirs", "theirs.tasks.report", "[]"),
                ("ours", "project.tasks.heartbeat", "[]"),
                ("broken", "project.tasks.add", "[1]"),
            ]
        ):
            connection.execute(TASK, (number, name, task, args, ran_at, ran_at))
    return file


def rows_of(file: Path, query: str = ROWS) -> list[Any]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchall()


def pasted(script: str, processes: Processes, file: Path) -> str:
    """Run commands of the page, and return what they print."""
    script = re.sub(r"^export .+$", "", script, flags=re.MULTILINE)
    script = script.replace(".venv/bin/python", shlex.quote(sys.executable))
    script = script.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{processes.port}")
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=ROOT,
        env=processes.environ(DATABASE_URL=f"sqlite:///{file}"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_commands_of_the_page_adopt_a_database(processes: Processes, theirs: Path) -> None:
    before = rows_of(theirs)
    assert SHOWN in pasted(MIGRATE, processes, theirs)
    assert rows_of(theirs) == before
    url = f"sqlite:///{theirs}"
    key = processes.start(
        *("manage.py", "create_api_key", "--account", "admin", "--scopes", "admin"),
        DATABASE_URL=url,
    )
    assert key.exit_code() == 0, key.output()
    beat, api = (
        processes.start("-m", *command.removeprefix(".venv/bin/").split(), DATABASE_URL=url)
        for command in START.strip().splitlines()
    )
    wait_until(processes.answers, within=60, why=api.output)
    auth = shlex.quote(f"Authorization: Bearer {key.output().strip()}")

    def looked() -> tuple[dict[str, Any], list[Any]]:
        api = f"http://127.0.0.1:{processes.port}/api/v1"
        script = LOOK.replace('"$auth"', auth)
        text = pasted(f"api={api}\n{script}", processes, theirs)
        ready, end = json.JSONDecoder().raw_decode(text)
        return ready, json.loads(text[end:])["results"]

    wait_until(lambda: looked()[0]["quarantined"] == 1, within=60, why=beat.output)
    ready, [broken] = looked()
    assert ready["beat"] == "ok"
    assert ready["oldest_overdue_seconds"] > 29 * 60
    assert (broken["name"], broken["total_run_count"]) == ("broken", 7)
    assert 'kwargs/y: "y" is missing' in broken["last_error"]
    sent = "SELECT periodic_task_name FROM scheduler_api_run WHERE queued_at IS NOT NULL"
    wait_until(lambda: len(rows_of(theirs, sent)) == 2, within=60, why=beat.output)
    assert {name for (name,) in rows_of(theirs, sent)} == {"theirs", "ours"}
    assert "Sending theirs.tasks.report, which no worker has registered" in beat.output()
    assert rows_of(theirs) == before, "beat has written to a definition"
