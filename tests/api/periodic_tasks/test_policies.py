"""Policies of a periodic task over HTTP."""

import json
from typing import Any

import pytest

from scheduler_api.access.models import AuditEntry
from scheduler_api.periodic_tasks.models import ManagedTask
from tests.api.periodic_tasks.examples import (
    DEFAULT_POLICIES,
    EVERY_30_SECONDS,
    NEW_YEAR_2100,
    NIGHTLY,
    SUNSET,
    TASKS,
    address,
    heartbeat,
    mistakes,
    stored,
    stored_import,
    without,
)
from tests.client import ContractClient
from tests.contract.document import SCHEMAS, fields_of

MANIFEST = "/api/v1/manifest/"
OTHERS: dict[str, Any] = {
    "misfire": "run_all",
    "catchup_window_seconds": 60,
    "overlap": "skip",
    "jitter_seconds": 10,
    "max_runtime_seconds": 7200,
    "max_attempts": 5,
    "retry_backoff_seconds": 60,
    "pause_after_failures": 3,
}
EACH = pytest.mark.parametrize("name", OTHERS)
FEBRUARY_29 = {"type": "crontab", "expression": "0 0 29 2 *", "timezone": "UTC"}
EVERY_3_DAYS = {"type": "interval", "every": 3, "period": "days"}


def policies_in(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in DEFAULT_POLICIES}


def made(api: ContractClient, **fields: Any) -> dict[str, Any]:
    response = api.post(TASKS, heartbeat(**fields))
    assert response.status_code == 201, response.json()
    answer: dict[str, Any] = response.json()
    return answer


# --- Writes and reads -------------------------------------------------------------------------


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("misfire", value) for value in ("skip", "run_once", "run_all")),
        *(("overlap", value) for value in ("allow", "skip", "buffer_one", "cancel_previous")),
        *(("catchup_window_seconds", value) for value in (0, 31_536_000)),
        *(("jitter_seconds", value) for value in (0, 86_400)),
        *(("max_runtime_seconds", value) for value in (1, 604_800)),
        *(("max_attempts", value) for value in (1, 100)),
        *(("retry_backoff_seconds", value) for value in (0, 86_400)),
        *(("pause_after_failures", value) for value in (0, 1000)),
    ],
)
def test_policy_is_stored_and_shown(api, name, value):
    task = made(api, schedule=NIGHTLY, **{name: value})

    assert policies_in(task) == {**DEFAULT_POLICIES, name: value}
    assert getattr(ManagedTask.objects.get(periodic_task=task["id"]), name) == value
    assert api.get(f"{TASKS}{task['id']}/").json() == task


def test_unmanaged_task_has_default_policies(api):
    shown = api.get(address(stored())).json()

    assert policies_in(shown) == DEFAULT_POLICIES


@EACH
def test_policy_can_be_set_on_an_unmanaged_task(api, name):
    task = stored()

    changed = api.patch(address(task), {name: OTHERS[name]})

    assert policies_in(changed.json()) == {**DEFAULT_POLICIES, name: OTHERS[name]}
    assert changed.json()["managed_by"] == "admin"
    assert changed.json()["owner"] is None


@EACH
def test_change_of_a_policy_keeps_the_others(api, name):
    task = made(api, **OTHERS)

    changed = api.patch(f"{TASKS}{task['id']}/", {name: DEFAULT_POLICIES[name]})
    kept = api.patch(f"{TASKS}{task['id']}/", {"description": "New"})

    expected = {**OTHERS, name: DEFAULT_POLICIES[name]}
    assert policies_in(changed.json()) == policies_in(kept.json()) == expected


@EACH
def test_change_of_a_policy_changes_revision_and_etag(api, name):
    task = made(api)
    path = f"{TASKS}{task['id']}/"
    tag = api.get(path).headers["ETag"]

    changed = api.patch(path, {name: OTHERS[name]}, headers={"If-Match": tag})
    again = api.patch(path, {name: OTHERS[name]})
    stale = api.patch(path, {name: DEFAULT_POLICIES[name]}, headers={"If-Match": tag})

    assert (changed.status_code, changed.json()["revision"]) == (200, 2)
    assert changed.headers["ETag"] != tag
    assert (again.json()["revision"], again.headers["ETag"]) == (2, changed.headers["ETag"])
    assert stale.status_code == 412


@EACH
def test_audit_records_a_policy_before_and_after(api, name):
    task = made(api)

    api.patch(f"{TASKS}{task['id']}/", {name: OTHERS[name]})

    entry = AuditEntry.objects.latest("pk")
    assert (entry.before, entry.after) == ({name: DEFAULT_POLICIES[name]}, {name: OTHERS[name]})


def test_replace_resets_omitted_policies_to_defaults(api):
    task = made(api, **OTHERS)

    kept = api.put(f"{TASKS}{task['id']}/", task)
    replaced = api.put(f"{TASKS}{task['id']}/", heartbeat())

    assert kept.json() == task
    assert policies_in(replaced.json()) == DEFAULT_POLICIES


def test_put_by_name_accepts_policies(api):
    path = f"{TASKS}by-name/Heartbeat/"
    body = without(heartbeat(), "name")

    created = api.put(path, {**body, **OTHERS})
    replaced = api.put(path, body)

    assert (created.status_code, policies_in(created.json())) == (201, OTHERS)
    assert (replaced.status_code, policies_in(replaced.json())) == (200, DEFAULT_POLICIES)


def test_batch_accepts_policies(api):
    task = made(api)
    operations = [
        {"op": "create", "body": heartbeat(name="Another", **OTHERS)},
        {"op": "update", "id": task["id"], "body": OTHERS},
    ]

    response = api.post(f"{TASKS}batch/", {"operations": operations})

    shown = [policies_in(result["body"]) for result in response.json()["results"]]
    assert shown == [OTHERS, OTHERS]


def test_dry_run_shows_policies_and_stores_none(api):
    task = made(api)

    rehearsed = api.patch(f"{TASKS}{task['id']}/?dry_run=true", OTHERS)

    assert policies_in(rehearsed.json()) == OTHERS
    assert policies_in(api.get(f"{TASKS}{task['id']}/").json()) == DEFAULT_POLICIES


def test_pause_keeps_policies(api):
    task = made(api, **OTHERS)

    paused = api.post(f"{TASKS}{task['id']}/pause/", {})
    resumed = api.post(f"{TASKS}{task['id']}/resume/")

    assert policies_in(paused.json()) == policies_in(resumed.json()) == OTHERS


def test_manifest_contains_only_policies_that_differ_from_defaults(api):
    made(api, name="ant")
    made(api, name="bee", overlap="skip")

    ant, bee = api.get(MANIFEST).json()["periodic_tasks"]

    assert not DEFAULT_POLICIES.keys() & ant.keys()
    assert {name: bee.get(name) for name in DEFAULT_POLICIES if name in bee} == {"overlap": "skip"}


def test_manifest_plans_and_applies_policies(api):
    made(api)
    entry = heartbeat(misfire="skip")
    body = {"version": 1, "periodic_tasks": [entry]}

    planned = api.post(f"{MANIFEST}?mode=plan", body).json()
    applied = api.post(f"{MANIFEST}?mode=apply", body).json()
    again = api.post(f"{MANIFEST}?mode=plan", body).json()

    [change] = planned["changed"]
    assert change["before"]["misfire"] == "run_once"
    assert change["after"]["misfire"] == "skip"
    assert applied["changed"] == planned["changed"]
    assert again["unchanged"] == 1
    assert json.loads(api.get(MANIFEST).content)["periodic_tasks"] == [entry]


# --- Refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("misfire", "", "invalid_choice"),
        ("misfire", "RUN_ONCE", "invalid_choice"),
        ("misfire", None, "null"),
        ("misfire", 1, "invalid_choice"),
        ("overlap", "forbid", "invalid_choice"),
        ("overlap", None, "null"),
        ("catchup_window_seconds", -1, "min_value"),
        ("catchup_window_seconds", 31_536_001, "max_value"),
        ("catchup_window_seconds", "60", "invalid"),
        ("catchup_window_seconds", None, "null"),
        ("jitter_seconds", -1, "min_value"),
        ("jitter_seconds", 86_401, "max_value"),
        ("jitter_seconds", 1.5, "invalid"),
        ("jitter_seconds", True, "invalid"),
        ("max_runtime_seconds", 0, "min_value"),
        ("max_runtime_seconds", 604_801, "max_value"),
        ("max_runtime_seconds", 10**30, "max_value"),
        ("max_attempts", 0, "min_value"),
        ("max_attempts", 101, "max_value"),
        ("max_attempts", None, "null"),
        ("retry_backoff_seconds", -1, "min_value"),
        ("retry_backoff_seconds", 86_401, "max_value"),
        ("retry_backoff_seconds", 0.5, "invalid"),
        ("pause_after_failures", -1, "min_value"),
        ("pause_after_failures", 1001, "max_value"),
    ],
)
def test_invalid_policy_is_refused(api, name, value, code):
    task = stored_import()

    created = api.post(TASKS, heartbeat(schedule=NIGHTLY, **{name: value}))
    changed = api.patch(address(task), {name: value})

    for response in (created, changed):
        assert response.status_code == 400
        assert mistakes(response) == [(f"/{name}", code)]


def test_schema_lists_the_values_of_policies():
    request = fields_of(SCHEMAS["PeriodicTaskRequest"])

    assert request["misfire"]["enum"] == ["skip", "run_once", "run_all"]
    assert request["overlap"]["enum"] == ["allow", "skip", "buffer_one", "cancel_previous"]
    # The defaults are in the descriptions: tests/contract/test_openapi.py.


@pytest.mark.parametrize(
    ("schedule", "longest"),
    [
        (EVERY_30_SECONDS, 30),
        ({"type": "crontab", "expression": "*/5 * * * *", "timezone": "UTC"}, 300),
        ({"type": "crontab", "expression": "0 0,23 * * *", "timezone": "UTC"}, 3600),
        (NIGHTLY, 86_400),
        (FEBRUARY_29, 86_400),
        (EVERY_3_DAYS, 86_400),
        (SUNSET, 86_400),
        (NEW_YEAR_2100, 86_400),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else str(value),
)
def test_jitter_longer_than_the_shortest_gap_is_refused(api, schedule, longest):
    taken = api.post(TASKS, heartbeat(schedule=schedule, jitter_seconds=longest))
    refused = api.post(
        TASKS, heartbeat(name="Another", schedule=schedule, jitter_seconds=longest + 1)
    )

    assert taken.status_code == 201
    assert refused.status_code == 400
    code = "max_value" if longest == 86_400 else "longer_than_gap"
    assert mistakes(refused) == [("/jitter_seconds", code)]


def test_change_to_a_shorter_schedule_refuses_a_longer_jitter(api):
    task = made(api, schedule=NIGHTLY, jitter_seconds=3600)
    path = f"{TASKS}{task['id']}/"

    refused = api.patch(path, {"schedule": EVERY_30_SECONDS})
    taken = api.patch(path, {"schedule": EVERY_30_SECONDS, "jitter_seconds": 30})

    assert mistakes(refused) == [("/jitter_seconds", "longer_than_gap")]
    assert "30 s apart" in refused.json()["errors"][0]["detail"]
    assert (taken.status_code, taken.json()["jitter_seconds"]) == (200, 30)


def test_change_of_other_fields_accepts_a_stored_jitter_that_is_too_long(api):
    task = made(api, schedule=NIGHTLY, jitter_seconds=3600)
    ManagedTask.objects.filter(periodic_task=task["id"]).update(jitter_seconds=86_401)

    changed = api.patch(f"{TASKS}{task['id']}/", {"description": "New"})

    assert changed.status_code == 200
    assert changed.json()["jitter_seconds"] == 86_401


def test_jitter_with_an_invalid_schedule_is_not_reported(api):
    schedule = {**EVERY_30_SECONDS, "every": 0}

    response = api.post(TASKS, heartbeat(schedule=schedule, jitter_seconds=60))

    assert mistakes(response) == [("/schedule/every", "min_value")]
