"""The plain commands, which need no `make`: they start, they stop, and say what is wrong."""

from subprocess import TimeoutExpired

import pytest

from tests.processes import wait_until

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
def test_bad_setting_is_a_sentence(processes, command, name, value, sentence):
    started = processes.start(*command, **{name: value})

    assert started.exit_code() == 1
    assert started.output().startswith(sentence)
    assert started.output().count("\n") == 1


RANDOM = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SECRET_KEY", RANDOM[:49], "SECRET_KEY can be guessed: set it to 50 random characters"),
        ("SECRET_KEY", "abcd" * 20, "SECRET_KEY can be guessed: "),
        ("SECRET_KEY", f"django-insecure-{RANDOM}", "SECRET_KEY can be guessed: "),
        ("ALLOWED_HOSTS", "api.example,*", "ALLOWED_HOSTS is '*', which "),
    ],
)
def test_unsafe_setting_is_refused_unless_debugging(processes, name, value, sentence):
    refused = processes.start(*MANAGE, **{name: value})
    debugged = processes.start(*MANAGE, **{name: value}, DEBUG="true")

    assert refused.exit_code() == 1
    assert refused.output().startswith(sentence)
    assert refused.output().count("\n") == 1
    assert value not in refused.output()
    assert debugged.exit_code() == 0, debugged.output()


@pytest.mark.parametrize(
    ("url", "is_refused"),
    [
        ("amqp://guest:guest@broker.example:5672//", True),
        ("amqps://%67uest:guest@192.0.2.1//", True),
        ("pyamqp://broker.example//", True),
        ("amqp://guest@broker.example//", True),
        ("amqp://guest:guest@127.0.0.1//;amqp://guest:guest@broker.example//", True),
        ("amqp://guest:guest@localhost:5672//", False),
        ("amqp://guest:guest@127.0.0.2//", False),
        ("amqp://guest:guest@[::1]//", False),
        ("amqp://", False),
        ("amqp://someone:guest@broker.example//", False),
        ("redis://broker.example/0", False),
    ],
)
def test_guest_may_only_use_a_broker_on_this_machine(processes, url, is_refused):
    started = processes.start(*MANAGE, BROKER_URL=url)

    assert started.exit_code() == int(is_refused), started.output()
    assert started.output().startswith("BROKER_URL uses guest, ") == is_refused


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
    assert [started.exit_code() for started in (beat, worker)] == [0, 1]
    # Django's server was seen to swallow one: Python drops an interrupt that comes while it
    # finalizes an object. People press again.
    try:
        assert api.exit_code(within=10) == 0
    except TimeoutExpired:
        api.press_ctrl_c()
        assert api.exit_code() == 0
    assert "Traceback" not in beat.output() + worker.output() + api.output()
    processes.are_gone(within=1)
