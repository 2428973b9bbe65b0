"""Run the examples of docs/operating.md, and compare its tables with the code."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from kombu import Connection, Queue

from project.embedded.up import PROCESSES
from scheduler_api.periodic_tasks.agenda_check import Report
from scheduler_api.periodic_tasks.triggers.installation import TriggerFaults
from tests.journeys.conftest import delete_queues
from tests.journeys.service import ROOT, START_SECONDS, Service, compact, wait_for

PAGE = (ROOT / "docs/operating.md").read_text()
REFUSALS = re.findall(r"<!-- refuses: (\w+)=(.+?) -->\n```\n(.+?)```", PAGE, re.DOTALL)
FINDINGS = re.findall(r"<!-- finds -->\n```\n(.+?)```", PAGE, re.DOTALL)
[KEY] = re.findall(r"```sh\n(api=.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
MIGRATIONS = re.findall(r"<!-- migrates -->\s+```sh\n(.+?)```", PAGE, re.DOTALL)
RECIPES = re.findall(r"<!-- shows: (.+?) -->\n```sh\n(.+?)```", PAGE, re.DOTALL)


def test_each_code_block_is_tested() -> None:
    tested = (REFUSALS, RECIPES, FINDINGS, MIGRATIONS)
    assert PAGE.count("```") / 2 == sum(map(len, tested)) == 10


def test_table_of_processes_matches_make_up() -> None:
    processes = PAGE.partition("## Required settings")[0]
    named = dict(re.findall(r"^\| (\w+) \| `\.venv/bin/(.+?)` \|", processes, re.MULTILINE))

    assert named == {
        "API" if name == "api" else name: " ".join(command) for name, command in PROCESSES.items()
    }


@pytest.mark.parametrize(("name", "value", "sentence"), REFUSALS)
def test_refused_start_prints_the_documented_sentence(
    tmp_path: Path, name: str, value: str, sentence: str
) -> None:
    started = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), name: value},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (started.returncode, started.stderr) == (1, sentence)


@pytest.mark.parametrize(("shown", "script"), RECIPES)
def test_command_prints_the_documented_output(embedded: Service, shown: str, script: str) -> None:
    script = f"{KEY}{script}".replace("http://127.0.0.1:8000", embedded.address)
    script = script.replace(".data/admin.key", str(embedded.key_file))

    def pasted() -> str:
        return subprocess.run(
            ["sh", "-euc", script.replace(".venv/bin/python", sys.executable)],
            cwd=ROOT,
            env=embedded.environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    # A worker registers itself some time after its start.
    wait_for(lambda: compact(shown) in compact(pasted()), seconds=START_SECONDS, why=pasted)


def test_documented_command_migrates_a_queue(
    tmp_path: Path, rabbitmq_url: str, queue: str
) -> None:
    [script] = MIGRATIONS
    with Connection(rabbitmq_url) as connection:
        Queue(queue, max_priority=10)(connection.default_channel).declare()
        connection.Producer().publish("kept", routing_key=queue)

        done = subprocess.run(
            [
                "sh",
                "-euc",
                script.replace("celery", queue).replace(".venv/bin/python", sys.executable),
            ],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "DATA_DIR": str(tmp_path),
                "BROKER_URL": rabbitmq_url,
                "QUEUES": queue,
            },
            capture_output=True,
            text=True,
            check=True,
        )

        assert "Messages moved: 1." in done.stdout
        # RabbitMQ would refuse this if the queue had its arguments of before.
        assert Queue(queue)(connection.default_channel).queue_declare().message_count == 1
    delete_queues(rabbitmq_url, queue)


def test_findings_of_check_agenda_match_the_page() -> None:
    report = Report(
        triggers=TriggerFaults(
            missing=["trigger scheduler_api_task_updated"],
            different=["trigger scheduler_api_task_deleted"],
        ),
        without_row=3,
        without_task=2,
        outdated=1,
    )

    assert ["".join(f"{sentence}\n" for sentence in report.sentences())] == FINDINGS


def test_documented_headers_are_sent(embedded: Service) -> None:
    table = dict(re.findall(r"^\| `([A-Z][\w-]+)` \| (.+?) \|$", PAGE, re.MULTILINE))
    said = {name: text.split("`")[1] for name, text in table.items() if text.startswith("`")}

    with urlopen(f"{embedded.address}/healthz") as answer:
        sent = dict(answer.headers)

    assert len(said) == 6
    assert said.items() <= sent.items()
    assert table.keys() - said.keys() == {"Content-Security-Policy", "Strict-Transport-Security"}
    assert "Content-Security-Policy" in sent
