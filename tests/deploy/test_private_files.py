"""The files of DATA_DIR are for this user alone, also if the folder existed."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from project.environment import keep_private
from tests.embedded.test_up import up
from tests.processes import ROOT, Processes


def modes_in(folder: Path) -> dict[str, int]:
    """Return the permissions of a folder and of everything in it, by name."""
    paths = [folder, *folder.rglob("*")]
    found = {}
    for path in paths:
        try:
            found[str(path.relative_to(folder))] = stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            """A worker has just taken the message."""
    return found


def open_to_others(modes: dict[str, int]) -> dict[str, str]:
    return {name: oct(mode) for name, mode in modes.items() if mode & 0o077}


@pytest.mark.parametrize("is_old", [False, True], ids=["new", "of a start before"])
def test_every_file_of_a_running_service_is_private(processes: Processes, is_old: bool):
    if is_old:
        messages = processes.data_dir / "broker" / "messages"
        messages.mkdir(mode=0o755, parents=True, exist_ok=True)
        for folder in (processes.data_dir, messages.parent, messages):
            folder.chmod(0o755)
        for name in ("secret.key", "db.sqlite3", "up.lock"):
            (processes.data_dir / name).touch(mode=0o644)
        (processes.data_dir / "secret.key").write_text("s" * 50)

    started = up(processes)

    modes = modes_in(processes.data_dir)
    assert {"db.sqlite3", "db.sqlite3-wal", "db.sqlite3-shm", "secret.key", "admin.key"} <= {
        *modes
    }
    assert any(name.startswith("broker/exchanges/") for name in modes)
    assert not open_to_others(modes)
    started.press_ctrl_c()
    started.exit_code(within=30)


def test_files_of_others_in_the_folder_are_left_alone(tmp_path: Path):
    own = [tmp_path / name for name in ("db.sqlite3", "db.sqlite3-wal", "secret.key", "admin.key")]
    foreign = [tmp_path / name for name in ("run.sh", "notes.txt")]
    for file in (*own, *foreign):
        file.touch()
        file.chmod(0o755)
    tmp_path.chmod(0o755)

    keep_private(tmp_path)

    assert {stat.S_IMODE(file.stat().st_mode) for file in own} == {0o600}
    assert {stat.S_IMODE(file.stat().st_mode) for file in foreign} == {0o755}
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_folder_that_all_users_share_is_left_alone(tmp_path: Path):
    tmp_path.chmod(0o1777)

    keep_private(tmp_path)

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777


def test_link_is_not_followed(tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch(mode=0o644)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "secret.key").symlink_to(elsewhere)

    keep_private(folder)

    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o644


def test_migrate_creates_a_private_database(tmp_path: Path):
    database = tmp_path / "elsewhere" / "db.sqlite3"
    database.parent.mkdir()

    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(tmp_path / "data"),
            "DATABASE_URL": f"sqlite:///{database}",
        },
        check=True,
    )

    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_start_on_another_database_keeps_the_key_of_the_one_before(
    processes: Processes, tmp_path: Path
):
    first = up(processes)
    first.press_ctrl_c()
    assert first.exit_code(within=30) == 0
    key_file = processes.data_dir / "admin.key"
    key = key_file.read_text()

    second = up(processes, DATABASE_URL=f"sqlite:///{tmp_path}/other.sqlite3")

    assert key_file.read_text() == key
    [other] = processes.data_dir.glob("admin-*.key")
    assert str(other) in second.output()
    [pasted] = re.findall(r"try it +(curl .+)", second.output())
    answer = subprocess.run(["bash", "-c", pasted], capture_output=True, check=True)
    assert b"project.tasks.add" in answer.stdout
    second.press_ctrl_c()
    assert second.exit_code(within=30) == 0
