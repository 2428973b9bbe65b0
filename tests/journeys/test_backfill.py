"""A backfill runs each slot of an outage of beat once, in real processes."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import service_on_servers
from tests.journeys.service import Service, wait_for

pytestmark = pytest.mark.timeout(400)  # it starts a service twice
TASKS = "/api/v1/periodic-tasks/"
SECONDS = 90
EVERY_TWO_SECONDS = {
    "name": "Every two seconds",
    "task": "project.tasks.add",
    "args": [40],
    "kwargs": {"y": 2},
    "misfire": "skip",
    "schedule": {"type": "interval", "every": 2, "period": "seconds"},
}


def runs_of(service: Service, task_id: int, query: str) -> list[dict[str, Any]]:
    status, page = service.call("GET", f"{TASKS}{task_id}/runs/?page_size=500&{query}")
    assert status == 200, page
    return list(page["results"])


def backfill_runs_each_missed_slot_once(service: Service) -> None:
    status, task = service.call("POST", TASKS, EVERY_TWO_SECONDS)
    assert status == 201, task
    task_id = task["id"]
    wait_for(
        lambda: bool(runs_of(service, task_id, "state=succeeded")),
        seconds=SECONDS,
        why=service.output,
    )
    service.stop()
    # The start takes longer than that.
    service.environment["MISFIRE_GRACE"] = "1"
    service.__enter__()
    wait_for(
        lambda: (
            bool(runs_of(service, task_id, "state=missed"))
            and bool(runs_of(service, task_id, "state=succeeded&ordering=-created_at"))
        ),
        seconds=SECONDS,
        why=service.output,
    )
    missed = runs_of(service, task_id, "state=missed")
    count = sum(run["slot_count"] for run in missed)
    first_at = min(run["slot_at"] for run in missed)
    last_at = max(run["last_slot_at"] or run["slot_at"] for run in missed)
    until = datetime.fromisoformat(last_at) + timedelta(microseconds=1)
    outage = {"from": first_at, "until": until.isoformat()}

    status, rehearsed = service.call("POST", f"{TASKS}{task_id}/backfill/?dry_run=true", outage)
    assert (status, rehearsed["count"]) == (200, count)
    status, filled = service.call("POST", f"{TASKS}{task_id}/backfill/", outage)

    assert (status, filled) == (202, rehearsed)
    ran = "trigger=backfill&state=succeeded"
    wait_for(
        lambda: len(runs_of(service, task_id, ran)) == count, seconds=SECONDS, why=service.output
    )
    _, again = service.call("POST", f"{TASKS}{task_id}/backfill/", outage)
    assert (again["count"], again["left_to_beat"]) == (0, 0)
    assert again["in_ledger"] >= count
    backfilled = runs_of(service, task_id, "trigger=backfill")
    assert {run["id"] for run in backfilled} == {run["id"] for run in filled["runs"]}
    assert [run["attempts"] for run in backfilled] == [1] * count
    served = runs_of(service, task_id, "trigger=schedule&state=pending,queued,running,succeeded")
    slots = [run["slot_at"] for run in (*backfilled, *served)]
    assert len(slots) == len(set(slots)), "a slot has run twice"


def test_backfill_on_sqlite_and_files(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        backfill_runs_each_missed_slot_once(service)


def test_backfill_on_rabbitmq_and_postgresql(
    tmp_path: Path, rabbitmq_url: str, postgres_url: str
) -> None:
    with service_on_servers(tmp_path, rabbitmq_url, postgres_url) as service:
        backfill_runs_each_missed_slot_once(service)
