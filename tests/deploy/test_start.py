"""The plain commands, which need no `make`: they start, they stop, and say what is wrong."""

import pytest

from tests.deploy.conftest import wait_until

MANAGE = ("manage.py", "check")
WORKER = ("-m", "celery", "-A", "project", "worker")
BEAT = ("-m", "celery", "-A", "project", "beat")
CREATE_KEY = ("manage.py", "create_api_key")
GUNICORN = ("-m", "gunicorn", "project.wsgi")


@pytest.mark.parametrize("command", [MANAGE, WORKER, BEAT, GUNICORN], ids=" ".join)
@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "http", "PORT is 'http': set it to a whole number from 1 to 65535.\n"),
        ("DATABASE_URL", "mysql://db", "DATABASE_URL has the scheme 'mysql': "),
    ],
)
def test_a_bad_setting_is_a_sentence(processes, command, name, value, sentence):
    started = processes.start(*command, **{name: value})

    assert started.exit_code() == 1
    assert started.output().startswith(sentence)
    assert started.output().count("\n") == 1


def test_the_plain_commands_start_and_stop(processes):
    assert processes.start("manage.py", "migrate").exit_code(within=30) == 0
    make_key = processes.start(*CREATE_KEY, "--account", "admin", "--scopes", "admin")
    assert make_key.exit_code() == 0
    (processes.data_dir / "admin.key").write_text(make_key.output())
    api = processes.start("manage.py", "runserver", "--noreload", str(processes.port))
    worker = processes.start(*WORKER, "--loglevel=info")
    beat = processes.start(*BEAT, "--loglevel=info")
    wait_until(processes.answers, why=api.output)
    worker.says(" ready.")
    beat.says("beat: Starting...")
    # While it writes the settings' entries, stock beat was seen to swallow the signal.
    entry = "/api/v1/periodic-tasks/?name=nightly-cleanup"
    wait_until(lambda: b"clean_up" in processes.get(entry), why=beat.output)

    for started in (beat, worker, api):
        started.press_ctrl_c()

    # Celery's worker answers 1 to a Ctrl-C, when it has finished all it had to do.
    assert [started.exit_code() for started in (beat, worker, api)] == [0, 1, 0]
    assert "Traceback" not in beat.output() + worker.output() + api.output()
    processes.are_gone(within=1)
