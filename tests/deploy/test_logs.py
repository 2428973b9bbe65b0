"""The logs of real processes: all alike, and without a password."""

import json
import os
import signal
import sys
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from tests.deploy.test_start import BEAT, GUNICORN, WORKER
from tests.ports import free_port
from tests.processes import Processes, Started, wait_until

PASSWORD = "hunter2%2Fand%20more"
SEND = """
import json, sys
from project.celery import app
app.send_task(sys.argv[1], kwargs=json.loads(sys.argv[2]))
"""

# Celery's command line, with a worker that ends when it has set its logs up.
EXIT_WITH_LEVEL = """
import logging, sys
from celery.__main__ import main
from celery.signals import celeryd_after_setup

@celeryd_after_setup.connect
def exit_with_level(**_):
    sys.exit("at " + logging.getLevelName(logging.getLogger().level))

main()
"""


def send(processes: Processes, task: str, **kwargs: object) -> None:
    """Have the worker run a task."""
    assert (
        processes.start("-c", SEND, f"project.tasks.{task}", json.dumps(kwargs)).exit_code() == 0
    )


@pytest.fixture
def on_stderr(processes: Processes) -> Started:
    """Start all of it as `make up` does, with logs for programs, and keep its stderr alone."""
    command = f"exec {sys.executable} -m project.embedded.up > {os.devnull}"
    started = processes.start("sh", "-c", command, python=False, LOG_FORMAT="json")
    wait_until(processes.answers, within=30, why=started.output)
    started.says(" ready.", within=30)
    return started


def test_every_line_of_every_process_is_json(processes, on_stderr):
    address = f"http://127.0.0.1:{processes.port}/healthz?token=hunter2"
    urlopen(Request(address, headers={"X-Request-Id": "abc"})).close()
    send(processes, "add", x=40, y=2)
    send(processes, "fail", message="at amqp://someone:hunter2@host//")
    on_stderr.says("40 + 2 = 42")
    on_stderr.says("RuntimeError")
    on_stderr.press_ctrl_c()
    assert on_stderr.exit_code(within=30) == 0

    lines = [json.loads(line) for line in on_stderr.output().splitlines()]

    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert {line["logger"] for line in lines} >= {
        "celery.beat", "celery.apps.worker", "gunicorn.error", "project.embedded.supervisor",
        "project.tasks",
    }  # fmt: skip
    (asked,) = [line for line in lines if line.get("request_id") == "abc"]
    assert asked["message"].startswith("GET /healthz 200 ")
    assert (asked["method"], asked["path"], asked["status"]) == ("GET", "/healthz", 200)
    assert asked["duration_ms"] >= 0
    (added,) = [line for line in lines if line["message"] == "40 + 2 = 42"]
    assert added["task_name"] == "project.tasks.add"
    assert f"Task project.tasks.add[{added['task_id']}] received" in on_stderr.output()
    (failed,) = [line for line in lines if line.get("task_name") == "project.tasks.fail"]
    assert failed["exception"].endswith("RuntimeError: at amqp://someone:***@host//")
    assert "hunter2" not in on_stderr.output()


def test_killed_child_of_the_worker_is_logged(processes):
    started = processes.start(*WORKER)
    started.says(" ready.")
    child = max(processes.alive())

    os.kill(child, signal.SIGKILL)

    started.says("ERROR multiprocessing: Process ")
    started.says("exited with 'signal 9 (SIGKILL)'")


@pytest.mark.parametrize(
    ("level", "arguments", "taken"),
    [
        ("", [], "INFO"),
        ("ERROR", [], "ERROR"),
        ("ERROR", ["--loglevel=debug"], "DEBUG"),
        ("DEBUG", ["-l", "WARNING"], "WARNING"),
    ],
)
def test_the_level_is_that_of_the_setting_unless_the_command_names_one(
    processes, level, arguments, taken
):
    started = processes.start(
        "-c", EXIT_WITH_LEVEL, "-A", "project", "worker", *arguments, LOG_LEVEL=level
    )

    started.exit_code()
    assert started.output().splitlines()[-1] == f"at {taken}"


def test_log_file_is_refused(processes):
    started = processes.start(*WORKER, "--logfile=worker.log")

    assert started.exit_code() == 1
    assert started.output().splitlines()[-1] == (
        "--logfile is 'worker.log', and all logs go to stderr: leave it out."
    )


def test_wrong_password_of_the_broker_is_not_shown(processes, rabbitmq_url):
    broker = urlsplit(rabbitmq_url)
    url = f"amqp://someone:{PASSWORD}@{broker.hostname}:{broker.port or 5672}//"

    started = processes.start("-m", "project.embedded.up", BROKER_URL=url, LOG_LEVEL="DEBUG")

    started.says("BROKER_URL is amqp://someone:***@", within=30)
    wait_until(processes.answers, within=30, why=started.output)
    assert not processes.answers("/readyz")
    wait_until(lambda: started.output().count("ACCESS_REFUSED") >= 3, within=30)
    started.press_ctrl_c()
    assert started.exit_code(within=60) == 0
    assert "hunter2" not in started.output()


@pytest.mark.parametrize(
    "command",
    [WORKER, BEAT, GUNICORN, ("manage.py", "migrate"), ("-m", "project.embedded.up")],
    ids=" ".join,
)
def test_wrong_password_of_the_database_is_not_shown(processes, command):
    port = free_port()
    url = f"postgres://someone:{PASSWORD}@127.0.0.1:{port}/nothing"

    started = processes.start(*command, DATABASE_URL=url, LOG_LEVEL="DEBUG")

    if command == GUNICORN:
        wait_until(processes.answers, why=started.output)
        assert not processes.answers("/readyz")
    elif command == WORKER:
        started.says(" ready.")
    else:
        started.says("onnection refused")
    assert "hunter2" not in started.output()


def test_celery_reports_no_password(processes, canary):
    urls = {
        "DATABASE_URL": f"postgres://someone:{canary}@127.0.0.1/nothing",
        "BROKER_URL": f"amqp://someone:{canary}@127.0.0.1//",
    }

    # What `celery inspect conf` has workers answer, and Flower shows, is made alike.
    started = processes.start("-m", "celery", "-A", "project", "report", **urls)

    assert started.exit_code() == 0
    assert "amqp://someone:********@127.0.0.1" in started.output()
    assert canary not in started.output()


@pytest.mark.parametrize("name", ["DATABASE_URL", "BROKER_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "someone:hunter2@host",
        "amqp://someone:hunter2/1@host//",
        "postgres://someone:hunter2#1@host/name",
        "amqp://someone:hunter 2@host//",
        "amqp://someone:[hunter2@host//",
    ],
)
def test_url_that_cannot_be_read_is_not_shown(processes, name, url):
    started = processes.start("manage.py", "check", **{name: url})

    assert started.exit_code() == 1
    assert started.output().startswith(f"{name} is not a URL that can be read: use SCHEME://")
    assert started.output().count("\n") == 1
    assert "hunter" not in started.output()
