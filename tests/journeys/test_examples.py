"""Run the scripts of examples/ on a running service, and check their output.

A new script needs an entry in EXAMPLES, and a row in the README beside it.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.journeys.service import ROOT, Service
from tests.journeys.test_runs import await_run, hourly, run_now

FOLDER = ROOT / "examples"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.sh"))


@dataclass(frozen=True, kw_only=True)
class Example:
    """The arguments of a script, and the pattern of its output."""

    prints: str
    prepare: Callable[[Service], list[str]] = lambda _: []
    leaves: Callable[[Service], bool] = lambda _: True


def run_script(service: Service, name: str, *arguments: str) -> str:
    """Run a script, and return its output."""
    done = subprocess.run(
        [FOLDER / name, *arguments],
        env={
            "PATH": os.environ["PATH"],
            "SCHEDULER_URL": service.address,
            "SCHEDULER_KEY": service.key_file.read_text().strip(),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- Preparations for a script -----------------------------------------------------


def name_of(service: Service, task_id: int) -> str:
    return str(service.call("GET", f"/api/v1/periodic-tasks/{task_id}/")[1]["name"])


def named(service: Service, name: str) -> dict[str, Any]:
    _, answer = service.call("GET", f"/api/v1/periodic-tasks/?name={quote(name)}")
    [task] = answer["results"]
    return dict(task)


def deleted(service: Service, name: str) -> bool:
    """Delete a periodic task; return whether it was there."""
    path = f"/api/v1/periodic-tasks/{named(service, name)['id']}/"
    return service.call("DELETE", path)[0] == 204


def an_addition(service: Service) -> list[str]:
    return [name_of(service, hourly(service, "add", args=[40, 2]))]


def a_failed_run(service: Service, name: str = "It fails") -> list[str]:
    task_id = hourly(service, "fail", name=name)
    await_run(service, run_now(service, task_id), "failed")
    return []


def a_failed_run_of_its_own(service: Service) -> list[str]:
    task_id = hourly(service, "fail")
    await_run(service, run_now(service, task_id), "failed")
    return [name_of(service, task_id)]


def a_long_run(service: Service) -> list[str]:
    run_id = run_now(service, hourly(service, "sleep", kwargs={"seconds": 600}))
    await_run(service, run_id, "running")
    return [run_id]


def a_task_to_pause(service: Service) -> list[str]:
    task_id = hourly(service, "heartbeat", name="To be paused")
    look = 'curl -fsS -H "Authorization: Bearer $SCHEDULER_KEY" "$SCHEDULER_URL$0"'
    return ["To be paused", "sh", "-c", look, f"/api/v1/periodic-tasks/{task_id}/"]


def two_of_a_team(service: Service, team: str = "blue") -> list[str]:
    for number in (1, 2):
        hourly(service, "heartbeat", name=f"Of team {team} {number}", labels={"team": team})
    return [f"team={team}"]


def a_file(service: Service) -> list[str]:
    file = Path(service.environment["DATA_DIR"]) / "periodic-tasks.yaml"
    file.write_text(
        "version: 1\n"
        "periodic_tasks:\n"
        "  - {name: From a file, task: project.tasks.heartbeat,\n"
        "     schedule: {type: interval, every: 6, period: hours}}\n"
    )
    return [str(file)]


def a_dead_delivery(service: Service) -> list[str]:
    body = {"name": "Dead", "url": "https://hooks.example.com/scheduler"}
    _, webhook = service.call("POST", "/api/v1/webhooks/", body)
    script = (
        "from datetime import UTC, datetime\n"
        "from scheduler_api.webhooks.models import Delivery\n"
        f"Delivery.objects.create(webhook_id={webhook['id']}, event_id='msg_dead', state='dead',\n"
        "    type='webhook.ping', payload='{}', created_at=datetime.now(UTC))"
    )
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", script],
        cwd=ROOT,
        env=service.environment,
        capture_output=True,
        check=True,
    )
    return [str(webhook["id"])]


def the_same_request(service: Service) -> list[str]:
    run_script(service, "create-once.sh", "4711")
    return ["4711"]


def an_hour(service: Service) -> list[str]:
    hourly(service, "heartbeat", name="To be changed")
    return ["To be changed", "0 6 * * *"]


EXAMPLES = {
    "backfill.sh": Example(
        prepare=lambda service: [
            *an_addition(service),
            "2026-01-01T00:00:00Z",
            "2026-01-01T03:00:00Z",
        ],
        prints="^dry_run=true: 3 runs\ndry_run=false: 3 runs$",
    ),
    "cancel-run.sh": Example(prepare=a_long_run, prints="^cancelled: It was cancelled while"),
    "change-safely.sh": Example(
        prepare=an_hour,
        prints="^changed$",
        leaves=lambda service: named(service, "To be changed")["schedule"]["hour"] == "6",
    ),
    "create-on-a-crontab.sh": Example(prints='"name": "Import of working days"'),
    "create-once.sh": Example(prepare=the_same_request, prints="(?m)^Idempotent-Replayed: true"),
    "create-webhook.sh": Example(
        prepare=lambda _: [
            "Billing alerts",
            "https://hooks.example.com/scheduler",
            "team=billing",
        ],
        prints=r"^whsec_[\w+/]{43}=\nWhat comes of the ping: http://.+/deliveries/[0-9]+/$",
    ),
    "deploy-by-name.sh": Example(prints="^Nightly clean-up next runs at 2.+Z in revision 1$"),
    "issue-key.sh": Example(prepare=lambda _: ["quarterly-reports"], prints="^sk_"),
    "list-failed-runs.sh": Example(prepare=a_failed_run, prints="\tIt fails\tfailed\t"),
    "list-workers.sh": Example(prints=r"(?m)^celery@\S+\tlives\t\S+\tcelery$"),
    "manifest-apply.sh": Example(
        prepare=a_file,
        prints='(?s)Planned:.+"From a file"\n.+Applied:.+"From a file"\n',
        # A recipe of docs/manifest.md prints everything that a manifest has made.
        leaves=lambda service: deleted(service, "From a file"),
    ),
    "manifest-export.sh": Example(prints="^version: 1\n"),
    "pause-by-label.sh": Example(
        prepare=two_of_a_team,
        prints="paused: Of team blue 1\npaused: Of team blue 2\n",
        leaves=lambda service: bool(named(service, "Of team blue 1")["paused"]),
    ),
    "pause-while.sh": Example(
        prepare=a_task_to_pause,
        prints='"paused": ?true',
        leaves=lambda service: named(service, "To be paused")["paused"] is False,
    ),
    "preview-schedule.sh": Example(
        prepare=lambda _: ["30 2 * * *", "Europe/Berlin"], prints='"clock_changes": "'
    ),
    "redeliver-dead.sh": Example(prepare=a_dead_delivery, prints="^msg_dead is sent again$"),
    "retry-failed-runs.sh": Example(
        prepare=a_failed_run_of_its_own, prints="^[0-9a-f-]{36} is run again as [0-9a-f-]{36}$"
    ),
    "run-now-and-wait.sh": Example(prepare=an_addition, prints='"result": 42,'),
    "stats-of-a-day.sh": Example(
        prepare=lambda service: a_failed_run(service, "It fails, too"),
        prints=r"(?m)^project\.tasks\.fail\t[1-9]\d* runs\t[1-9]\d* bad\tran ",
    ),
    "upcoming.sh": Example(
        prepare=lambda service: two_of_a_team(service, "green"),
        prints=r"(?m)^2\S+Z\tOf team green 1\n2\S+Z\tOf team green 2$",
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_example_prints_the_expected_output(embedded: Service, name: str) -> None:
    assert name in EXAMPLES, "add the script to EXAMPLES"
    example = EXAMPLES[name]
    arguments = example.prepare(embedded)

    printed = run_script(embedded, name, *arguments)

    assert re.search(example.prints, printed.strip() + "\n"), printed
    assert example.leaves(embedded)


@pytest.mark.parametrize("name", SCRIPTS)
def test_example_has_a_comment_and_a_row_in_the_readme(name: str) -> None:
    first, second, *_ = (FOLDER / name).read_text().splitlines()
    rows = (FOLDER / "README.md").read_text()

    assert first == "#!/bin/sh"
    assert second.startswith("# ")
    assert f"| [{name}]({name}) | " in rows


def test_readme_and_examples_list_exactly_the_scripts() -> None:
    named_there = re.findall(r"\| \[.+?\]\((.+?\.sh)\) \|", (FOLDER / "README.md").read_text())

    assert sorted(named_there) == SCRIPTS == sorted(EXAMPLES)
