"""Real workers register themselves and their tasks with an API that has none of their code."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import delete_queues
from tests.journeys.service import ROOT, START_SECONDS, STOP_SECONDS, Api, wait_for
from tests.journeys.test_runs import await_run, run_now

TASK = "elsewhere.multiply"
DEFINITIONS = "/api/v1/periodic-tasks/"
BODY = {
    "name": "Multiply",
    "task": TASK,
    "args": [21],
    "schedule": {"type": "interval", "every": 1, "period": "hours"},
    "enabled": False,
}


@contextmanager
def celery(api: Api, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Celery command beside the API, in a process group of its own."""
    with log_of(api).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "project", *arguments],
            cwd=ROOT,
            env={**api.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                kill(process)
                raise


def log_of(api: Api) -> Path:
    """Return the log file of Celery's processes; the API has a file of its own."""
    return api.output_file.with_name("celery.log")


def logged(api: Api) -> str:
    """Return the log of Celery's processes."""
    log = log_of(api)
    return log.read_text() if log.exists() else ""


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children, like a crash of their machine."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)


def worker(api: Api, name: str, **environment: str) -> Any:
    """Run a worker that has the task."""
    include = "tests.journeys.elsewhere"
    return celery(api, "worker", "-n", f"{name}@here", "-I", include, **environment)


def workers(api: Api) -> dict[str, Any]:
    """Return the workers that the API lists, by name."""
    return {each["name"]: each for each in api.call("GET", "/api/v1/workers/")[1]["results"]}


def await_workers(api: Api, are_right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return the workers that the API lists, once they fulfil a condition."""
    wait_for(lambda: are_right(workers(api)), seconds=START_SECONDS, why=api.output)
    return workers(api)


def a_task_of_workers_alone_is_defined_and_runs(api: Api) -> None:
    assert api.call("POST", DEFINITIONS, BODY)[0] == 400, "no worker has registered it yet"

    with worker(api, "one", APP_VERSION="1"), worker(api, "two", APP_VERSION="2"):
        listed = await_workers(api, lambda all_of_them: len(all_of_them) == 2)
        assert {each["version"] for each in listed.values()} == {"1", "2"}
        assert all(each["is_alive"] for each in listed.values())
        _, task = api.call("GET", f"/api/v1/tasks/{TASK}/")
        assert (task["doc"], task["worker_count"]) == ("Multiply two whole numbers.", 2)
        assert [each["version"] for each in task["workers"]] == ["1", "2"]

        status, answer = api.call("POST", DEFINITIONS, {**BODY, "args": ["21"]})
        assert (status, answer["errors"][0]["pointer"]) == (400, "/args/0")
        status, answer = api.call("POST", DEFINITIONS, BODY)
        assert (status, answer["warnings"]) == (201, [])
        with celery(api, "beat"):
            assert await_run(api, run_now(api, answer["id"]), "succeeded")["result"] == 42

    stopped = await_workers(
        api, lambda listed: all(each["stopped_at"] for each in listed.values())
    )
    assert not any(each["is_alive"] for each in stopped.values())
    _, answer = api.call("GET", f"{DEFINITIONS}{answer['id']}/")
    assert [each["code"] for each in answer["warnings"]] == ["no_worker"]


def test_task_of_workers_is_defined_and_runs_on_sqlite_and_files(tmp_path: Path) -> None:
    with Api(tmp_path) as api:
        a_task_of_workers_alone_is_defined_and_runs(api)


def test_task_of_workers_is_defined_and_runs_on_rabbitmq_and_postgresql(
    tmp_path: Path, queue: str, rabbitmq_url: str, postgres_database: str
) -> None:
    with Api(
        tmp_path, BROKER_URL=rabbitmq_url, DATABASE_URL=postgres_database, QUEUES=queue
    ) as api:
        a_task_of_workers_alone_is_defined_and_runs(api)
    delete_queues(rabbitmq_url, queue)


def test_killed_worker_is_not_alive_after_a_minute(tmp_path: Path) -> None:
    with Api(tmp_path) as api:
        with worker(api, "one") as process:
            await_workers(api, bool)
            kill(process)
        assert workers(api)["one@here"]["is_alive"], "its last sign is less than a minute old"

        shell = "from scheduler_api.models import Worker; from datetime import timedelta as t; "
        back = "w = Worker.objects.get(); w.last_seen_at -= t(seconds=61); w.save()"
        api.manage("shell", "-c", shell + back)

        assert not workers(api)["one@here"]["is_alive"]
        _, answer = api.call("POST", DEFINITIONS, BODY)
        assert [each["code"] for each in answer["warnings"]] == ["no_worker"]


@pytest.mark.parametrize("database", ["postgres://nobody@127.0.0.1:1/nothing", "unmigrated"])
def test_worker_starts_without_its_database(tmp_path: Path, database: str) -> None:
    if database == "unmigrated":
        database = f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    with Api(tmp_path) as api:
        with worker(api, "one", DATABASE_URL=database) as process:
            wait_for(lambda: "one@here ready." in logged(api), seconds=START_SECONDS)
            announced = "This worker is registered in the catalogue later"
            wait_for(lambda: announced in logged(api), seconds=START_SECONDS)
            assert process.poll() is None
        assert process.returncode == 0, "it stops without an error"
        assert workers(api) == {}
