"""Requests for the manifest, and the varied periodic tasks that its tests use."""

import json
from typing import Any

from tests.api.periodic_tasks.examples import (
    EVERY_KIND,
    heartbeat,
    imports,
)
from tests.client import ContractClient

MANIFEST = "/api/v1/manifest/"
APPLY = f"{MANIFEST}?mode=apply"
PRUNE = f"{APPLY}&prune=true"
YAML = "application/yaml"
JSON = "application/json"


def exported(api: ContractClient, media_type: str = JSON) -> bytes:
    response = api.get(MANIFEST, headers={"Accept": media_type})
    assert (response.status_code, response.headers["Content-Type"]) == (200, media_type)
    content: bytes = response.content
    return content


def send_manifest(api: ContractClient, *entries: Any, to: str = APPLY, **headers: str) -> Any:
    return api.post(to, {"version": 1, "periodic_tasks": list(entries)}, headers=headers)


def result_of(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.json()
    answer: dict[str, Any] = response.json()
    return answer


def exported_entries(api: ContractClient) -> Any:
    return json.loads(exported(api))["periodic_tasks"]


VARIED = [
    *(heartbeat(name=f"Heartbeat {kind['type']}", schedule=kind) for kind in EVERY_KIND),
    imports(name="ä ☃: 'quoted' # text", labels={"team": "sales", "tier": "1"}),
    imports(name="012", enabled=False, description="Two lines\nof text\n"),
    imports(
        name="yes",
        args=[" spaced ", "1.0"],
        headers={"x-caller": "tests"},
        priority=7,
        start_time="2099-01-01T00:00:00.123456Z",
        expires="2100-01-01T00:00:00Z",
    ),
    heartbeat(name="once", one_off=True, expire_seconds=60, queue="celery"),
    heartbeat(
        name="policies",
        misfire="skip",
        catchup_window_seconds=0,
        overlap="buffer_one",
        jitter_seconds=30,
        max_runtime_seconds=1,
        max_attempts=2,
        retry_backoff_seconds=0,
        pause_after_failures=1,
    ),
    heartbeat(name="weekdays", schedule={
        "type": "crontab", "expression": "*/7 22-2 1-7 jan,mar fri", "timezone": "Asia/Tokyo"
    }),
]  # fmt: skip
