"""Limits of an account: each operation that changes when, what or where a task runs asks them.

The account was limited after it had made its periodic task, so each operation would do what the
account may no longer do.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from rest_framework.response import Response

from scheduler_api.access.models import ServiceAccount
from scheduler_api.runs.models import Run
from scheduler_api.schedules.limits import DESCRIPTIVE_FIELDS
from tests.api.access.callers import account_of, service
from tests.api.http.responses import mistakes, refusal
from tests.api.periodic_tasks.examples import EVERY_30_SECONDS, TASKS, heartbeat, without
from tests.api.runs.examples import RUNS, run_of
from tests.api.schedules.bodies import KINDS
from tests.api.writes import WRITES
from tests.client import ContractClient
from tests.contract.document import SCHEMAS, fields_of

SOON, LATER = "2090-01-01T00:00:00Z", "2091-01-01T00:00:00Z"
EVERY_45_SECONDS = {**EVERY_30_SECONDS, "every": 45}
A_MINUTE = {"from": "2025-01-01T00:00:00Z", "until": "2025-01-01T00:01:00Z"}
MANIFEST = "/api/v1/manifest/?mode=apply"

# Each limit: the columns of the account, and the code of the refusal.
LIMITS: dict[str, tuple[dict[str, Any], str]] = {
    "tasks": ({"task_patterns": ["billing.*"]}, "not_allowed"),
    "queues": ({"queues": ["billing"]}, "not_allowed"),
    "interval": ({"min_interval_seconds": 10**6}, "too_often"),
}
NAMES_ONLY = ("tasks", "queues")

Send = Callable[[ContractClient, Mapping[str, Any]], Response]


def at(task: Mapping[str, Any], action: str = "") -> str:
    return f"{TASKS}{task['id']}/{action}"


def in_batch(op: str, **members: Any) -> Send:
    def send(client: ContractClient, task: Mapping[str, Any]) -> Response:
        operation = {"op": op, **members} if op == "create" else {
            "op": op, "id": task["id"], **members
        }  # fmt: skip
        return client.post(f"{TASKS}batch/", {"operations": [operation]})

    return send


def of_schedule(method: str) -> Send:
    def send(client: ContractClient, task: Mapping[str, Any]) -> Response:
        kind = task["schedule"]["type"]
        path, _, changed = KINDS[kind]
        return getattr(client, method)(f"{path}{task[kind]}/", changed)

    return send


def retry(client: ContractClient, task: Mapping[str, Any]) -> Response:
    run = run_of(PeriodicTask.objects.get(pk=task["id"]), state="failed")
    Run.objects.update(owner_id=account_of("limited").pk)
    return client.post(f"/api/v1/runs/{run.pk}/retry/")


# By operation id: requests that change when, what or where the task runs. They apply to an active
# task, or with the prefix `paused:` to a paused one.
ASKING: dict[str, dict[str, Send]] = {
    "createPeriodicTask": {"": lambda client, _: client.post(TASKS, heartbeat(name="Another"))},
    "replacePeriodicTask": {
        prefix: lambda client, task: client.put(at(task), {**task, "start_time": SOON})
        for prefix in ("", "paused:")
    },
    "updatePeriodicTask": {
        prefix: lambda client, task: client.patch(at(task), {"schedule": EVERY_45_SECONDS})
        for prefix in ("", "paused:")
    },
    "putPeriodicTaskByName": {
        "new": lambda client, _: client.put(
            f"{TASKS}by-name/Another/", without(heartbeat(), "name")
        ),
        "stored": lambda client, _: client.put(
            f"{TASKS}by-name/Heartbeat/", without(heartbeat(priority=3), "name")
        ),
    },
    "updatePeriodicTaskByName": {
        prefix: lambda client, task: client.patch(
            f"{TASKS}by-name/Heartbeat/", {"schedule": EVERY_45_SECONDS}
        )
        for prefix in ("", "paused:")
    },
    "pausePeriodicTask": {
        "paused:earlier end": lambda client, task: client.post(at(task, "pause/"), {"until": SOON})
    },
    "resumePeriodicTask": {
        "paused:": lambda client, task: client.post(at(task, "resume/")),
    },
    "batchPeriodicTask": {
        "create": in_batch("create", body=heartbeat(name="Another")),
        "update": in_batch("update", body={"expires": SOON}),
        "paused:update": in_batch("update", body={"overlap": "skip"}),
        "paused:pause": in_batch("pause", body={"until": SOON}),
        "paused:resume": in_batch("resume"),
    },
    "applyManifest": {
        "new": lambda client, _: client.post(
            MANIFEST, {"version": 1, "periodic_tasks": [heartbeat(name="Another")]}
        ),
        "stored": lambda client, _: client.post(
            MANIFEST, {"version": 1, "periodic_tasks": [heartbeat(start_time=SOON)]}
        ),
    },
    "createRun": {
        "id": lambda client, task: client.post(RUNS, {"periodic_task": task["id"]}),
        "name": lambda client, task: client.post(RUNS, {"periodic_task_name": task["name"]}),
        "task": lambda client, task: client.post(RUNS, {"task": task["task"]}),
    },
    "runPeriodicTask": {"": lambda client, task: client.post(at(task, "runs/"), {"args": []})},
    "backfillPeriodicTask": {
        "": lambda client, task: client.post(at(task, "backfill/"), A_MINUTE),
        "paused:": lambda client, task: client.post(at(task, "backfill/"), A_MINUTE),
    },
    "retryRun": {"": retry},
    **{
        f"{word}{kind.capitalize()}Schedule": {
            f"{prefix}{kind}": of_schedule(method) for prefix in ("", "paused:")
        }
        for word, method in (("replace", "put"), ("update", "patch"))
        for kind in KINDS
    },
}
# These start one run at a time, or have one slot: they do not ask for the minimum interval.
WITHOUT_SLOTS = {
    *("createRun", "runPeriodicTask", "retryRun"),
    *("replaceClockedSchedule", "updateClockedSchedule"),
}
# These operations do not change when, what or where a periodic task runs.
NOT_ASKING = {
    *("deletePeriodicTask", "deletePeriodicTaskByName", "cancelRun"),
    *(f"{word}{kind.capitalize()}Schedule" for word in ("create", "delete") for kind in KINDS),
    *("createServiceAccount", "replaceServiceAccount", "updateServiceAccount"),
    *("deleteServiceAccount", "createApiKey", "revokeApiKey"),
    *("createWebhook", "replaceWebhook", "updateWebhook", "deleteWebhook"),
    *("rotateWebhook", "pingWebhook", "redeliverDelivery"),
}
CASES = [
    pytest.param(case, send, limit, id=f"{operation} {case} {limit}")
    for operation, sends in ASKING.items()
    for case, send in sends.items()
    for limit in (NAMES_ONLY if operation in WITHOUT_SLOTS else LIMITS)
]


@pytest.fixture
def limited(db: None) -> ContractClient:
    return service("limited")


@pytest.fixture(autouse=True)
def _queues(settings: Any) -> None:
    settings.QUEUES = ["celery", "billing"]


def made(client: ContractClient, case: str) -> dict[str, Any]:
    """Create the periodic task of a case, with a schedule of its kind."""
    kind = case.removeprefix("paused:")
    schedule: dict[str, Any] = {"schedule": EVERY_30_SECONDS}
    if kind in KINDS:
        path, body, _ = KINDS[kind]
        schedule = {kind: client.post(path, body).json()["id"]}
    created = client.post(TASKS, without(heartbeat(), "schedule") | schedule)
    assert created.status_code == 201, created.json()
    task: dict[str, Any] = created.json()
    if case.startswith("paused:"):
        body = {"until": LATER} if "earlier" in case else {}
        assert client.post(at(task, "pause/"), body).status_code == 200
    return task


def test_every_write_is_listed():
    listed = ASKING.keys() | NOT_ASKING
    writes = {operation.values[0].id for operation in WRITES}  # type: ignore[attr-defined]

    assert not writes - listed, "Does it change when, what or where a task runs? List it here."
    assert not listed - writes


@pytest.mark.both_databases
@pytest.mark.parametrize(("case", "send", "limit"), CASES)
def test_operation_beyond_a_limit_is_refused(limited, case: str, send: Send, limit: str):
    task = made(limited, case)
    before = limited.get(at(task)).json()
    columns, code = LIMITS[limit]
    ServiceAccount.objects.filter(name="limited").update(**columns)

    refused = send(limited, before)

    assert refusal(refused) == (400, "validation_failed")
    assert {code for _, code in mistakes(refused)} == {code}
    # `retry` needs a run that has ended.
    assert {**limited.get(at(task)).json(), "last_run": None} == before
    assert PeriodicTask.objects.count() == 1
    assert not Run.objects.exclude(state="failed").exists()


@pytest.mark.parametrize(
    ("case", "send"),
    [
        pytest.param(case, send, id=f"{operation} {case}")
        for operation, sends in ASKING.items()
        for case, send in sends.items()
    ],
)
def test_operation_within_the_limits_is_accepted(limited, case: str, send: Send):
    task = made(limited, case)

    answer = send(limited, limited.get(at(task)).json())

    assert answer.status_code in {200, 201, 202}, answer.json()


# --- The fields of a periodic task --------------------------------------------------------------

OTHER_VALUES: dict[str, Any] = {
    "task": "project.tasks.clean_up",
    "schedule": EVERY_45_SECONDS,
    "interval": partial(
        lambda: IntervalSchedule.objects.create(every=45, period="seconds").pk,
    ),
    **dict.fromkeys(("crontab", "solar", "clocked")),  # the kinds have their own cases above
    "args": None,  # the example takes none
    "kwargs": None,
    "queue": "celery",
    "exchange": "amq.direct",
    "routing_key": "celery",
    "headers": {"x-a": "1"},
    "priority": 3,
    "start_time": SOON,
    "expires": LATER,
    "expire_seconds": 60,
    "one_off": True,
    "misfire": "run_all",
    "catchup_window_seconds": 60,
    "overlap": "skip",
    "jitter_seconds": 1,
    "max_runtime_seconds": 60,
    "max_attempts": 3,
    "retry_backoff_seconds": 1,
    "pause_after_failures": 3,
    "enabled": False,
    "name": "Pulse",
    "description": "Beats",
    "labels": {"team": "a"},
}


def test_every_field_of_a_periodic_task_is_listed():
    assert fields_of(SCHEMAS["PeriodicTaskRequest"]).keys() == OTHER_VALUES.keys()


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("field", [name for name, value in OTHER_VALUES.items() if value])
def test_change_of_a_field_beyond_a_limit_is_refused(limited, settings, field: str, limit: str):
    settings.ALLOW_CUSTOM_ROUTING = True
    task = made(limited, "")
    columns, code = LIMITS[limit]
    ServiceAccount.objects.filter(name="limited").update(**columns)
    value = OTHER_VALUES[field]

    answer = limited.patch(at(task), {field: value() if callable(value) else value})

    if field in DESCRIPTIVE_FIELDS:
        assert answer.status_code == 200
    else:
        assert {code for _, code in mistakes(answer)} == {code}


def test_task_beyond_a_limit_may_be_stopped(limited):
    task = made(limited, "")
    for columns, _ in LIMITS.values():
        ServiceAccount.objects.filter(name="limited").update(**columns)

    answers = [
        limited.patch(at(task), {"enabled": False}),
        limited.patch(at(task), {"description": "Stopped"}),
        limited.post(at(task, "pause/")),
        limited.post(at(task, "pause/"), {"note": "Too loud"}),
        limited.post(at(task, "resume/")),
        limited.delete(at(task)),
    ]

    # A disabled task stays disabled when its pause ends.
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 204]


def test_pause_may_be_prolonged_beyond_a_limit(limited):
    task = made(limited, "paused:")
    limited.post(at(task, "pause/"), {"until": SOON})
    ServiceAccount.objects.filter(name="limited").update(min_interval_seconds=10**6)

    answers = [limited.post(at(task, "pause/"), {"until": until}) for until in (LATER, None)]

    assert [answer.status_code for answer in answers] == [200, 200]


def test_limit_is_not_evaded_by_a_change_of_the_schedule_during_a_pause(limited):
    hourly = {"type": "interval", "every": 1, "period": "hours"}
    ServiceAccount.objects.filter(name="limited").update(min_interval_seconds=3600)
    task = limited.post(TASKS, heartbeat(schedule=hourly)).json()
    limited.post(at(task, "pause/"))

    changed = limited.patch(f"{KINDS['interval'][0]}{task['interval']}/", {"period": "seconds"})

    assert mistakes(changed) == [("", "too_often")]
    assert limited.post(at(task, "resume/")).json()["schedule"]["period"] == "hours"
