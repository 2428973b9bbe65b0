"""`make up`: everything that it starts, seen from outside."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys

import pytest

from tests.ports import free_port
from tests.processes import ROOT, Processes, Started, wait_until

SEND = """
import sys
from project.celery import app
app.send_task("project.tasks.sleep", kwargs={"seconds": float(sys.argv[1])})
"""


def up(processes: Processes, **environ: str) -> Started:
    """Start everything, and wait until it works."""
    started = processes.start("-m", "project.embedded.up", **environ)
    wait_until(processes.answers, within=30, why=started.output)
    started.says(" ready.", within=30)
    started.says("stop it", within=60)
    return started


def run_sleep(processes: Processes, started: Started, seconds: float) -> None:
    """Have the worker sleep, and return while it does."""
    assert processes.start("-c", SEND, str(seconds)).exit_code() == 0
    started.says(f"Sleeping for {seconds:.1f} s")


def test_up_answers_and_ctrl_c_lets_a_running_task_finish(processes):
    started = up(processes)
    for name in ("api/v1/", "docs/"):
        assert f"http://127.0.0.1:{processes.port}/{name}" in started.output()
    [pasted] = re.findall(r"try it +(curl .+)", started.output())
    answer = subprocess.run(["bash", "-c", pasted], capture_output=True, check=True)
    assert b"project.tasks.add" in answer.stdout
    key_file = processes.data_dir / "admin.key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert re.fullmatch(r"sk_\w{8}_[\w-]{43}\n", key_file.read_text())
    assert key_file.read_text().strip() not in started.output()
    assert processes.answers("/docs/")
    assert processes.answers("/readyz")
    run_sleep(processes, started, 3)

    started.press_ctrl_c()

    assert started.exit_code(within=30) == 0
    output = started.output()
    assert all(f"{name} exited with code 0" in output for name in ("beat", "api"))
    worker, webhooks = (
        output.index(f"{name} exited with code 0") for name in ("worker", "webhooks")
    )
    assert output.index("Slept for 3.0 s") < worker < webhooks
    assert "Traceback" not in output
    processes.are_gone(within=1)


NOISE = ("WARNING", "Applying ", "SecurityWarning", "-------", "Configuration ->")


def test_up_prints_little_and_the_addresses_last(processes):
    started = up(processes)

    output = started.output()
    assert not [noise for noise in NOISE if noise in output], output
    assert len(output.splitlines()) < 30, output
    before, address, after = output.partition("\n  API   ")
    assert address
    assert " ready." in before
    assert "beat: Starting..." in before
    assert "ready" not in after
    rows = [line.strip() for line in after.splitlines()[1:] if line.startswith("  ")]
    assert [row.partition("  ")[0] for row in rows] == [
        "documentation",
        "admin's key",
        "try it",
        "stop it",
        "show this",
    ]


def test_second_up_on_the_same_data_shows_the_addresses_of_the_first(processes):
    first = up(processes)
    before = processes.alive()

    second = processes.start("-m", "project.embedded.up", PORT=str(free_port()))

    assert second.exit_code() == 1
    said = second.output()
    assert said.startswith(f"make up already runs on the data in {processes.data_dir}:\n")
    assert f"http://127.0.0.1:{processes.port}/docs/" in said
    assert processes.alive() == before
    first.press_ctrl_c()
    assert first.exit_code(within=30) == 0


def test_data_of_a_killed_up_is_free(processes):
    first = processes.start("-m", "project.embedded.up")
    wait_until(processes.answers, within=30, why=first.output)
    first.process.kill()
    processes.are_gone(within=30)

    up(processes)


def test_second_ctrl_c_ends_running_tasks(processes):
    started = up(processes)
    run_sleep(processes, started, 300)

    started.press_ctrl_c()
    started.says("api exited with code 0")
    started.press_ctrl_c()

    assert started.exit_code(within=30) == 0
    processes.are_gone(within=1)


def test_nothing_outlives_a_killed_supervisor_but_the_running_task(processes):
    started = up(processes)
    run_sleep(processes, started, 3)

    started.process.kill()

    processes.are_gone(within=30)
    assert "Slept for 3.0 s" in started.output()


def test_killed_process_is_restarted_without_its_old_children(processes):
    started = up(processes)
    before = processes.alive()

    os.kill(processes.find("-A project worker"), signal.SIGKILL)
    os.kill(processes.find("gunicorn"), signal.SIGKILL)
    os.kill(processes.find("-A project beat"), signal.SIGKILL)
    os.kill(processes.find("deliver_webhooks"), signal.SIGKILL)

    for name in ("api", "beat", "worker", "webhooks"):
        started.says(f"{name} died of SIGKILL: starting it again in 1 s")
    wait_until(lambda: started.output().count(" ready.") == 2, why=started.output)
    wait_until(processes.answers, why=started.output)
    assert set(before) & set(processes.alive()) == {started.process.pid}
    assert len(processes.alive()) == len(before)


def test_taken_port_is_a_sentence_before_anything_starts(processes):
    taken = processes.start("-m", "http.server", str(processes.port), "--bind", "127.0.0.1")
    taken.says("Serving HTTP")

    started = processes.start("-m", "project.embedded.up")

    assert started.exit_code() == 1
    assert started.output() == (
        f"PORT {processes.port} is taken: stop what listens there, or choose another: "
        f"PORT={processes.port + 1} make up.\n"
    )
    assert not (processes.data_dir / "db.sqlite3").exists()


def test_host_of_another_machine_is_a_sentence(processes):
    started = processes.start("-m", "project.embedded.up", HOST="192.0.2.1")

    assert started.exit_code() == 1
    assert started.output().startswith("HOST is '192.0.2.1', which cannot be listened on (")
    assert started.output().count("\n") == 1


def test_database_that_does_not_answer_is_a_sentence(processes, canary):
    url = f"postgres://someone:{canary}@127.0.0.1:{free_port()}/nothing"

    started = processes.start("-m", "project.embedded.up", DATABASE_URL=url)

    assert started.exit_code() == 1
    sentence = started.output().splitlines()[-1]
    assert sentence.startswith("DATABASE_URL names a database that cannot be used (connection")
    assert "Traceback" not in started.output()
    assert canary not in started.output()


def test_broker_that_does_not_answer_is_a_sentence_and_waited_for(processes, canary):
    port = free_port()

    started = processes.start(
        "-m", "project.embedded.up", BROKER_URL=f"amqp://someone:{canary}@127.0.0.1:{port}//"
    )

    started.says(
        f"BROKER_URL is amqp://someone:***@127.0.0.1:{port}//, which cannot be used yet ("
    )
    wait_until(processes.answers, why=started.output)
    started.says("Trying again in 2.00 seconds")
    started.press_ctrl_c()
    assert started.exit_code(within=30) == 0
    assert canary not in started.output()
    processes.are_gone(within=1)


# --- The Makefile -----------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path):
    """A folder, with a space in its name, in which nothing is installed."""
    folder = tmp_path / "my checkout"
    folder.mkdir()
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


def make(folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("fails", "sentence"),
    [
        ("version_info", "Python 3.11 or newer is required: "),
        ("ensurepip", "has no venv module: install it, on Debian and Ubuntu with "),
    ],
)
def test_python_that_will_not_do_is_a_sentence(checkout, fails, sentence):
    python = checkout / "python"
    python.write_text(f'#!/bin/sh\ncase "$2" in *{fails}*) exit 1;; esac\n')
    python.chmod(0o755)

    result = make(checkout, "up", "PYTHON=./python")

    assert result.returncode != 0
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_the_second_time_nothing_is_installed(checkout):
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python").symlink_to(sys.executable)
    assert "pip install" in make(checkout, "--dry-run", "up").stdout

    (checkout / ".venv/.installed").touch()

    assert make(checkout, "--dry-run", "up").stdout == ".venv/bin/python -m project.embedded.up\n"


def test_make_alone_lists_what_there_is(checkout):
    result = make(checkout)

    for target in ("up", "test", "lint", "format", "lock", "schema", "clean"):
        assert f"make {target} " in result.stdout
    assert result.stderr == ""


def test_the_lock_names_no_host():
    for name in ("requirements.txt", "requirements-dev.txt"):
        lock = (ROOT / name).read_text()
        assert "://" not in lock
        assert "--hash=sha256:" in lock
