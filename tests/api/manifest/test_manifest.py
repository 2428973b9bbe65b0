"""`manifest/`: export and apply all periodic tasks of an account as one document."""

import json
from typing import Any

import pytest
import yaml
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from scheduler_api.access.models import AuditEntry
from scheduler_api.periodic_tasks.models import ManagedTask
from tests.api.access.callers import service
from tests.api.http.answers import mistakes, refusal
from tests.api.periodic_tasks.examples import (
    EVERY_KIND,
    TASKS,
    heartbeat,
    imports,
    names,
    stored,
    update_row,
)
from tests.canaries import make_canary
from tests.client import ContractClient
from tests.conftest import caller

pytestmark = pytest.mark.both_databases

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


# --- Round trip -----------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", [JSON, YAML])
def test_manifest_applied_to_an_empty_database_exports_the_same_bytes(api, media_type):
    for body in VARIED:
        assert api.post(TASKS, body).status_code == 201
    first = exported(api, media_type)
    PeriodicTask.objects.all().delete()
    IntervalSchedule.objects.all().delete()

    applied = api.post(APPLY, first.decode(), content_type=media_type)

    assert len(result_of(applied)["created"]) == len(VARIED)
    assert exported(api, media_type) == first
    planned = result_of(
        api.post(PRUNE.replace("apply", "plan"), first.decode(), content_type=media_type)
    )
    assert planned["unchanged"] == len(VARIED)
    assert planned["created"] == planned["changed"] == planned["deleted"] == []


def test_manifest_is_the_same_in_json_and_yaml(api):
    for body in VARIED:
        api.post(TASKS, body)

    assert yaml.safe_load(exported(api, YAML)) == json.loads(exported(api, JSON))


def test_manifest_omits_ids_and_defaults(api):
    api.post(TASKS, imports())

    assert exported(api, YAML).decode() == (
        "version: 1\n"
        "periodic_tasks:\n"
        "- name: Import contacts\n"
        "  task: project.tasks.import_contacts\n"
        "  schedule:\n"
        "    type: interval\n"
        "    every: 30\n"
        "    period: seconds\n"
        "  args:\n"
        "  - arg1\n"
        "  - arg2\n"
        "  kwargs:\n"
        "    be_careful: true\n"
    )


def test_manifest_without_tasks_is_empty(api):
    assert exported(api) == b'{"version":1,"periodic_tasks":[]}'


def test_manifest_includes_the_zone_of_a_crontab(api):
    api.post(TASKS, heartbeat(schedule={"type": "crontab", "minute": "5"}))

    (entry,) = exported_entries(api)
    assert entry["schedule"] == {"type": "crontab", "minute": "5", "timezone": "UTC"}


# --- Plan and apply -------------------------------------------------------------------------


def test_plan_reports_the_changes_of_apply_and_changes_nothing(api):
    send_manifest(api, heartbeat(name="changed"), heartbeat(name="gone"), heartbeat(name="kept"))
    wanted = [
        heartbeat(name="changed", labels={"team": "ops"}, description="New"),
        heartbeat(name="kept"),
        heartbeat(name="new"),
    ]
    before = api.get(TASKS).json()

    planned = result_of(send_manifest(api, *wanted, to=f"{MANIFEST}?mode=plan&prune=true"))
    assert api.get(TASKS).json() == before
    applied = result_of(send_manifest(api, *wanted, to=PRUNE))

    assert (planned.pop("mode"), applied.pop("mode")) == ("plan", "apply")
    assert planned == applied
    assert applied == {
        "created": ["new"],
        "changed": [
            {
                "name": "changed",
                "before": {"description": "", "labels": {}},
                "after": {"description": "New", "labels": {"team": "ops"}},
            }
        ],
        "deleted": ["gone"],
        "unchanged": 1,
    }
    assert sorted(names(api.get(TASKS))) == ["changed", "kept", "new"]


def test_manifest_mode_defaults_to_plan(api):
    assert result_of(send_manifest(api, heartbeat(), to=MANIFEST))["mode"] == "plan"
    assert names(api.get(TASKS)) == []


def test_dry_run_of_apply_changes_nothing(api):
    assert result_of(send_manifest(api, heartbeat(), to=f"{APPLY}&dry_run=true"))["created"] == [
        "Heartbeat"
    ]
    assert names(api.get(TASKS)) == []


def test_apply_is_idempotent(api):
    send_manifest(api, *VARIED)
    before, entries = api.get(TASKS).json(), AuditEntry.objects.count()

    again = result_of(send_manifest(api, *VARIED))

    assert (again["unchanged"], again["created"], again["changed"]) == (len(VARIED), [], [])
    assert api.get(TASKS).json() == before
    assert AuditEntry.objects.count() == entries


def test_apply_resets_omitted_fields_to_their_defaults(api):
    send_manifest(api, heartbeat(description="Old", enabled=False))

    send_manifest(api, heartbeat())

    (task,) = api.get(TASKS).json()["results"]
    assert (task["description"], task["enabled"]) == ("", True)


def test_plan_reports_a_changed_schedule_without_ids(api):
    send_manifest(api, heartbeat())

    (changed,) = result_of(send_manifest(api, heartbeat(schedule=EVERY_KIND[1])))["changed"]

    assert changed["before"]["schedule"] == {"type": "interval", "every": 30, "period": "seconds"}
    assert changed["after"]["schedule"]["timezone"] == "Europe/Berlin"


def test_pause_does_not_change_the_manifest(api):
    send_manifest(api, heartbeat())
    pk = PeriodicTask.objects.get().pk
    before = exported(api)
    api.post(f"{TASKS}{pk}/pause/", {"note": "Too loud"})

    assert exported(api) == before
    assert result_of(send_manifest(api, heartbeat()))["unchanged"] == 1
    assert api.get(f"{TASKS}{pk}/").json()["paused"] is True


def test_apply_of_500_tasks_needs_few_queries(api, django_assert_max_num_queries):
    with django_assert_max_num_queries(60):
        response = send_manifest(api, *(heartbeat(name=f"Task {number}") for number in range(500)))

    assert len(result_of(response)["created"]) == 500


# --- managed_by -----------------------------------------------------------------------------


def managed_by(api: ContractClient) -> dict[str, str]:
    return {task["name"]: task["managed_by"] for task in api.get(TASKS).json()["results"]}


def test_apply_makes_named_tasks_managed_by_manifest(api):
    api.post(TASKS, heartbeat(name="by hand"))
    api.post(TASKS, heartbeat(name="taken over"))

    response = send_manifest(api, heartbeat(name="taken over"), heartbeat(name="new"))

    assert result_of(response)["changed"] == [
        {
            "name": "taken over",
            "before": {"managed_by": "api"},
            "after": {"managed_by": "manifest"},
        }
    ]
    assert managed_by(api) == {"by hand": "api", "taken over": "manifest", "new": "manifest"}


def test_prune_deletes_only_tasks_managed_by_manifest(api, other):
    api.post(TASKS, heartbeat(name="by hand"))
    stored(name="unowned")
    send_manifest(other, heartbeat(name="other's"))
    send_manifest(api, heartbeat(name="gone"), heartbeat(name="kept"))

    assert result_of(send_manifest(api, heartbeat(name="kept")))["deleted"] == []
    assert result_of(send_manifest(api, heartbeat(name="kept"), to=PRUNE))["deleted"] == ["gone"]

    assert sorted(names(api.get(TASKS))) == ["by hand", "kept", "other's", "unowned"]


def test_plan_reports_a_manual_change(api):
    send_manifest(api, heartbeat())
    pk = PeriodicTask.objects.get().pk
    api.patch(f"{TASKS}{pk}/", {"description": "By hand"})

    (changed,) = result_of(send_manifest(api, heartbeat(), to=MANIFEST))["changed"]

    assert changed["before"] == {"description": "By hand"}
    assert managed_by(api) == {"Heartbeat": "manifest"}


# --- Ownership ------------------------------------------------------------------------------


@pytest.fixture
def other(db: None) -> ContractClient:
    return service("other")


@pytest.mark.parametrize("principal", ["api", "other"])
def test_manifest_has_the_tasks_that_the_caller_owns(request, api, other, principal):
    api.post(TASKS, heartbeat(name="api"))
    other.post(TASKS, heartbeat(name="other"))
    stored(name="unowned")

    entries = exported_entries(request.getfixturevalue(principal))

    assert [entry["name"] for entry in entries] == [principal]


@pytest.mark.parametrize(("mine", "theirs"), [("api", "other"), ("other", "api")])
def test_apply_with_a_name_of_another_account_is_refused(request, api, other, mine, theirs):
    request.getfixturevalue(theirs).post(TASKS, heartbeat(name="theirs", description="Secret"))

    response = send_manifest(
        request.getfixturevalue(mine), heartbeat(name="mine"), heartbeat(name="theirs")
    )

    assert refusal(response) == (409, "name_taken")
    assert mistakes(response) == [("/periodic_tasks/1/name", "name_taken")]
    assert b"Secret" not in response.content
    assert not PeriodicTask.objects.filter(name="mine").exists()


def test_prune_without_the_delete_scope_is_refused(db):
    writer = caller("writer", scopes=["periodic-tasks:write"])
    send_manifest(writer, heartbeat())

    assert refusal(send_manifest(writer, to=PRUNE)) == (403, "forbidden")
    assert PeriodicTask.objects.exists()


def test_manifest_without_a_key_is_refused(db):
    anonymous = ContractClient()

    assert refusal(anonymous.get(MANIFEST)) == (401, "not_authenticated")
    assert refusal(send_manifest(anonymous, heartbeat())) == (401, "not_authenticated")


def test_apply_records_each_change_in_the_audit_log(api):
    send_manifest(api, heartbeat(name="one"), heartbeat(name="two"))
    send_manifest(api, heartbeat(name="one", description="New"), to=PRUNE)

    recorded = AuditEntry.objects.order_by("pk").values_list("operation", "object_name")

    assert list(recorded) == [
        ("create", "one"),
        ("create", "two"),
        ("delete", "two"),
        ("change", "one"),
    ]


# --- Secrets --------------------------------------------------------------------------------


def sign_in(password: str) -> dict[str, Any]:
    return heartbeat(
        name="Sign in", task="project.tasks.sign_in", args=["ann"], kwargs={"password": password}
    )


def test_apply_with_a_redacted_secret_keeps_it(api, canary):
    send_manifest(api, sign_in(canary))

    (entry,) = exported_entries(api)
    assert entry["kwargs"] == {"password": "***"}
    assert result_of(send_manifest(api, entry))["unchanged"] == 1
    assert canary in PeriodicTask.objects.get().kwargs


def test_apply_reports_a_changed_secret_redacted(api):
    old, new = make_canary(), make_canary()
    send_manifest(api, sign_in(old))
    tag = api.get(MANIFEST).headers["ETag"]

    response = send_manifest(api, sign_in(new))

    (changed,) = result_of(response)["changed"]
    assert changed["before"] == changed["after"] == {"kwargs": {"password": "***"}}
    assert not [each for each in (old, new) if each in response.content.decode()]
    assert api.get(MANIFEST).headers["ETag"] != tag


def test_apply_with_a_redacted_secret_of_a_new_task_is_refused(api):
    response = send_manifest(api, sign_in("***"))

    assert mistakes(response) == [("/periodic_tasks/0/kwargs/password", "redacted")]


# --- Entity tags ----------------------------------------------------------------------------


def test_apply_with_stale_if_match_is_refused(api):
    planned = send_manifest(api, heartbeat(), to=MANIFEST)
    tag = planned.headers["ETag"]
    assert api.get(MANIFEST).headers["ETag"] == tag

    api.post(TASKS, heartbeat(name="meanwhile"))
    stale = send_manifest(api, heartbeat(), **{"If-Match": tag})
    fresh = send_manifest(api, heartbeat(), **{"If-Match": api.get(MANIFEST).headers["ETag"]})

    assert refusal(stale) == (412, "revision_mismatch")
    assert fresh.headers["ETag"] == api.get(MANIFEST).headers["ETag"]


def test_manifest_with_matching_if_none_match_is_not_modified(api):
    send_manifest(api, heartbeat())
    tag = api.get(MANIFEST).headers["ETag"]

    assert api.get(MANIFEST, headers={"If-None-Match": tag}).status_code == 304


def test_run_does_not_change_the_etag_of_the_manifest(api):
    send_manifest(api, heartbeat())
    tag = api.get(MANIFEST).headers["ETag"]
    update_row(PeriodicTask.objects.get(), total_run_count=5, last_run_at="2027-01-01T00:00:00Z")

    assert api.get(MANIFEST).headers["ETag"] == tag


def test_concurrent_applies_do_not_interleave(two_at_once):
    def apply(client: ContractClient, number: int) -> Any:
        return send_manifest(
            client, *(heartbeat(name=f"{number} {n}") for n in range(20)), to=PRUNE
        )

    answers = two_at_once(apply)

    assert [len(result_of(answer)["created"]) for answer in answers] == [20, 20]
    assert ManagedTask.objects.count() == 40


# --- Refusals -------------------------------------------------------------------------------


def test_apply_ignores_blanks_around_a_name(api):
    send_manifest(api, heartbeat(name="Heartbeat"))

    again = send_manifest(api, heartbeat(name=" Heartbeat "))

    assert (result_of(again)["created"], result_of(again)["unchanged"]) == ([], 1)


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        ({}, ("/periodic_tasks", "required")),
        ({"periodic_tasks": []}, ("/version", "required")),
        ({"version": 2, "periodic_tasks": []}, ("/version", "max_value")),
        ({"version": 1, "periodic_tasks": {}}, ("/periodic_tasks", "not_a_list")),
        ({"version": 1, "periodic_tasks": [1]}, ("/periodic_tasks/0", "invalid")),
        ({"version": 1, "periodic_tasks": [{}]}, ("/periodic_tasks/0/name", "required")),
        ({"version": 1, "periodic_tasks": [{"name": []}]}, ("/periodic_tasks/0/name", "invalid")),
        ({"version": 1, "periodic_tasks": [{"name": [1]}]}, ("/periodic_tasks/0/name", "invalid")),
        ({"version": 1, "periodic_tasks": [], "tasks": []}, ("/tasks", "unknown_field")),
        (
            {"version": 1, "periodic_tasks": [heartbeat(), heartbeat(args=[1])]},
            ("/periodic_tasks/1/args/0", "unexpected_argument"),
        ),
        (
            {"version": 1, "periodic_tasks": [heartbeat(), heartbeat()]},
            ("/periodic_tasks/1/name", "duplicate_name"),
        ),
    ],
)
def test_apply_of_an_invalid_manifest_is_refused(api, body, mistake):
    response = api.post(APPLY, body)

    assert refusal(response) == (400, "validation_failed")
    assert mistake in mistakes(response)
    assert names(api.get(TASKS)) == []


@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        ("mode=aply", ("mode", "invalid_choice")),
        ("mode=apply&prune=yes", ("prune", "invalid")),
        ("mode=apply&force=true", ("force", "unknown_parameter")),
        ("format=yaml", ("format", "unknown_parameter")),
    ],
)
def test_manifest_with_an_invalid_query_is_refused(api, query, mistake):
    response = send_manifest(api, heartbeat(), to=f"{MANIFEST}?{query}")

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [mistake]


def test_apply_of_malformed_yaml_is_refused_with_its_position(api):
    response = api.post(APPLY, "version: 1\nperiodic_tasks: *all\n", content_type=YAML)

    assert refusal(response) == (400, "malformed_body")
    assert "line 2, column 17" in response.json()["detail"]


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_on_manifest_are_not_allowed(api, method):
    assert refusal(getattr(api, method)(MANIFEST)) == (405, "method_not_allowed")
