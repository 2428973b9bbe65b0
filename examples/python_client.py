"""Use the Python client that `make client` generates: create, run, wait, and handle a refusal.

    PYTHONPATH=client .venv/bin/python examples/python_client.py

It reads `SCHEDULER_URL` and `SCHEDULER_KEY`, as the other scripts here do.
"""

import os
from time import sleep

import httpx
from scheduler_api_client import AuthenticatedClient
from scheduler_api_client.api.periodic_tasks import create_periodic_task, put_periodic_task_by_name
from scheduler_api_client.api.runs import get_run, list_runs, run_periodic_task
from scheduler_api_client.models import (
    InlineIntervalRequest,
    NamedPeriodicTaskRequest,
    PaginatedRunList,
    PeriodicTask,
    PeriodicTaskRequest,
    Problem,
    RunDetail,
)

client = AuthenticatedClient(
    base_url=os.environ.get("SCHEDULER_URL", "http://127.0.0.1:8000"),
    token=os.environ["SCHEDULER_KEY"],
    timeout=httpx.Timeout(60),  # longer than the 30 s of wait=30
)

# Create or replace a periodic task by its name.
every_hour = InlineIntervalRequest(type_="interval", every=1, period="hours")
task = put_periodic_task_by_name.sync(
    "Hourly sum",
    client=client,
    body=NamedPeriodicTaskRequest(task="project.tasks.add", args=[40, 2], schedule=every_hour),
)
assert isinstance(task, PeriodicTask), task
print(f"{task.name} next runs at {task.next_run_at}")

# Run it now, and wait for its end.
run = run_periodic_task.sync(task.id, client=client)
while isinstance(run, RunDetail) and run.state in {"pending", "queued", "running"}:
    sleep(0.2)
    run = get_run.sync(run.id, client=client, wait=30)
assert isinstance(run, RunDetail), run
print(f"{run.state}: {run.result}")

# List failed runs.
failed = list_runs.sync(client=client, state=["failed", "lost"])
assert isinstance(failed, PaginatedRunList), failed
print(f"{len(failed.results)} runs failed")

# A refusal is a Problem: its code never changes, and its errors point at the mistakes.
refusal = create_periodic_task.sync(
    client=client,
    body=PeriodicTaskRequest(
        name="Sum", task="project.tasks.add", args=["forty", 2], schedule=every_hour
    ),
)
assert isinstance(refusal, Problem), refusal
print(f"{refusal.code}: {refusal.errors[0].pointer}: {refusal.errors[0].detail}")
