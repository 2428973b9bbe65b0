"""Every write operation, with a request for it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from rest_framework.response import Response

from scheduler_api.access.models import ServiceAccount
from tests.api.periodic_tasks.examples import heartbeat
from tests.api.runs.examples import entered
from tests.client import ContractClient
from tests.contract.document import OPERATIONS, Operation
from tests.webhooks.examples import due_delivery, webhook_of

CHANGES_NOTHING = {"previewSchedule"}
WRITES = [
    pytest.param(operation, id=operation.id)
    for operation in OPERATIONS
    if operation.method != "get" and operation.id not in CHANGES_NOTHING
]
# By collection: the type of its objects, a body, and a change to it.
OBJECTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "interval-schedules": (
        "interval_schedule",
        {"every": 5, "period": "minutes"},
        {"every": 7},
    ),
    "crontab-schedules": (
        "crontab_schedule",
        {"minute": "30", "timezone": "Europe/Berlin"},
        {"timezone": "Asia/Tokyo"},
    ),
    "solar-schedules": (
        "solar_schedule",
        {"event": "sunset", "latitude": 52.52, "longitude": 13.405},
        {"latitude": 52.5},
    ),
    "clocked-schedules": (
        "clocked_schedule",
        {"clocked_time": "2100-01-01T00:00:00Z"},
        {"clocked_time": "2101-01-01T00:00:00Z"},
    ),
    "periodic-tasks": ("periodic_task", heartbeat(), {"enabled": False}),
    "service-accounts": (
        "service_account",
        {"name": "billing", "scopes": ["tasks:read"]},
        {"scopes": ["tasks:read", "runs:read"]},
    ),
    "webhooks": (
        "webhook",
        {"name": "Alerts", "url": "https://8.8.8.8/hook"},
        {"events": ["run.failed"]},
    ),
    "deliveries": ("delivery", {}, {}),
    "api-keys": ("api_key", {"expires_at": "2100-01-01T00:00:00Z"}, {"revoked_at": None}),
}


# By operation id: the body, if it is not a whole object.
BODIES: dict[str, Any] = {
    "pausePeriodicTask": {"note": "Too loud"},
    "runPeriodicTask": {"args": []},
    "createRun": {"task": "project.tasks.heartbeat"},
    "backfillPeriodicTask": {"from": "2025-01-01T00:00:00Z", "until": "2025-01-01T00:01:00Z"},
    "batchPeriodicTask": {"operations": [{"op": "create", "body": heartbeat()}]},
    "applyManifest": {"version": 1, "periodic_tasks": [heartbeat()]},
}


QUERIES = {"applyManifest": "?mode=apply"}


def object_of(operation: Operation) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the object type of a write, a body, and a change to it."""
    if operation.id == "createRun":
        return "run", {}, {}
    return OBJECTS.get(operation.path.split("/")[3], OBJECTS["periodic-tasks"])


def prepare(api: ContractClient, operation: Operation) -> Callable[..., Response]:
    """Create the objects that a write needs, and return a function that sends it."""
    collection, (_, body, change) = operation.path.split("/")[3], object_of(operation)
    if collection == "api-keys":
        body = {**body, "service_account": ServiceAccount.objects.get(name="tests").pk}
    path = f"{operation.path}{QUERIES.get(operation.id, '')}"
    if collection == "runs":
        run = entered(state="failed" if operation.id == "retryRun" else "queued")
        path = path.format(id=run.pk)
    elif collection == "deliveries":
        delivery = due_delivery(webhook_of(ServiceAccount.objects.get(name="tests"))[0])
        path = path.format(id=delivery.pk)
    elif "{" in path:
        made = api.post(f"/api/v1/{collection}/", body)
        assert made.status_code == 201, made.json()
        path = path.format(**made.json())
    if operation.id == "resumePeriodicTask":
        api.post(path.replace("resume", "pause"))
    if operation.method in {"put", "patch"}:
        body = {**body, **change} if operation.method == "put" else change
    body = BODIES.get(operation.id, body)
    sent = body if "requestBody" in operation.described else None
    return partial(getattr(api, operation.method), path, sent)
