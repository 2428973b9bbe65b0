"""`manifest/`: all periodic tasks of an account as one document, out and in."""

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


def send(api: ContractClient, *entries: Any, to: str = APPLY, **headers: str) -> Any:
    return api.post(to, {"version": 1, "periodic_tasks": list(entries)}, headers=headers)


def outcome(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.json()
    answer: dict[str, Any] = response.json()
    return answer


def manifest_of(api: ContractClient) -> Any:
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


# --- There and back -------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", [JSON, YAML])
def test_exported_and_applied_to_an_empty_database_it_is_the_same_to_the_byte(api, media_type):
    for body in VARIED:
        assert api.post(TASKS, body).status_code == 201
    first = exported(api, media_type)
    PeriodicTask.objects.all().delete()
    IntervalSchedule.objects.all().delete()

    applied = api.post(APPLY, first.decode(), content_type=media_type)

    assert len(outcome(applied)["created"]) == len(VARIED)
    assert exported(api, media_type) == first
    planned = outcome(
        api.post(PRUNE.replace("apply", "plan"), first.decode(), content_type=media_type)
    )
    assert planned["unchanged"] == len(VARIED)
    assert planned["created"] == planned["changed"] == planned["deleted"] == []


def test_json_and_yaml_say_the_same(api):
    for body in VARIED:
        api.post(TASKS, body)

    assert yaml.safe_load(exported(api, YAML)) == json.loads(exported(api, JSON))


def test_it_says_no_more_than_is_needed(api):
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


def test_one_without_tasks_is_empty(api):
    assert exported(api) == b'{"version":1,"periodic_tasks":[]}'


def test_it_tells_the_zone_of_a_crontab_whatever_the_setting(api):
    api.post(TASKS, heartbeat(schedule={"type": "crontab", "minute": "5"}))

    (entry,) = manifest_of(api)
    assert entry["schedule"] == {"type": "crontab", "minute": "5", "timezone": "UTC"}


# --- Plan and apply -------------------------------------------------------------------------


def test_a_plan_tells_what_an_apply_does_and_does_nothing(api):
    send(api, heartbeat(name="changed"), heartbeat(name="gone"), heartbeat(name="kept"))
    wanted = [
        heartbeat(name="changed", labels={"team": "ops"}, description="New"),
        heartbeat(name="kept"),
        heartbeat(name="new"),
    ]
    before = api.get(TASKS).json()

    planned = outcome(send(api, *wanted, to=f"{MANIFEST}?mode=plan&prune=true"))
    assert api.get(TASKS).json() == before
    applied = outcome(send(api, *wanted, to=PRUNE))

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


def test_a_plan_is_what_is_answered_unless_more_is_asked_for(api):
    assert outcome(send(api, heartbeat(), to=MANIFEST))["mode"] == "plan"
    assert names(api.get(TASKS)) == []


def test_a_dry_run_of_an_apply_is_a_plan(api):
    assert outcome(send(api, heartbeat(), to=f"{APPLY}&dry_run=true"))["created"] == ["Heartbeat"]
    assert names(api.get(TASKS)) == []


def test_to_apply_twice_is_to_apply_once(api):
    send(api, *VARIED)
    before, entries = api.get(TASKS).json(), AuditEntry.objects.count()

    again = outcome(send(api, *VARIED))

    assert (again["unchanged"], again["created"], again["changed"]) == (len(VARIED), [], [])
    assert api.get(TASKS).json() == before
    assert AuditEntry.objects.count() == entries


def test_what_is_left_out_goes_back_to_its_default(api):
    send(api, heartbeat(description="Old", enabled=False))

    send(api, heartbeat())

    (task,) = api.get(TASKS).json()["results"]
    assert (task["description"], task["enabled"]) == ("", True)


def test_a_change_of_the_schedule_is_told_without_ids(api):
    send(api, heartbeat())

    (changed,) = outcome(send(api, heartbeat(schedule=EVERY_KIND[1])))["changed"]

    assert changed["before"]["schedule"] == {"type": "interval", "every": 30, "period": "seconds"}
    assert changed["after"]["schedule"]["timezone"] == "Europe/Berlin"


def test_a_pause_is_no_matter_of_a_manifest(api):
    send(api, heartbeat())
    pk = PeriodicTask.objects.get().pk
    before = exported(api)
    api.post(f"{TASKS}{pk}/pause/", {"note": "Too loud"})

    assert exported(api) == before
    assert outcome(send(api, heartbeat()))["unchanged"] == 1
    assert api.get(f"{TASKS}{pk}/").json()["paused"] is True


def test_many_are_made_in_a_few_statements(api, django_assert_max_num_queries):
    with django_assert_max_num_queries(60):
        response = send(api, *(heartbeat(name=f"Task {number}") for number in range(500)))

    assert len(outcome(response)["created"]) == 500


# --- Who manages what -----------------------------------------------------------------------


def managed_by(api: ContractClient) -> dict[str, str]:
    return {task["name"]: task["managed_by"] for task in api.get(TASKS).json()["results"]}


def test_what_is_named_becomes_managed_by_a_manifest(api):
    api.post(TASKS, heartbeat(name="by hand"))
    api.post(TASKS, heartbeat(name="taken over"))

    response = send(api, heartbeat(name="taken over"), heartbeat(name="new"))

    assert outcome(response)["changed"] == [
        {
            "name": "taken over",
            "before": {"managed_by": "api"},
            "after": {"managed_by": "manifest"},
        }
    ]
    assert managed_by(api) == {"by hand": "api", "taken over": "manifest", "new": "manifest"}


def test_to_prune_deletes_what_a_manifest_made_and_nothing_else(api, other):
    api.post(TASKS, heartbeat(name="by hand"))
    stored(name="nobody's")
    send(other, heartbeat(name="other's"))
    send(api, heartbeat(name="gone"), heartbeat(name="kept"))

    assert outcome(send(api, heartbeat(name="kept")))["deleted"] == []
    assert outcome(send(api, heartbeat(name="kept"), to=PRUNE))["deleted"] == ["gone"]

    assert sorted(names(api.get(TASKS))) == ["by hand", "kept", "nobody's", "other's"]


def test_a_change_by_hand_is_told_by_the_next_plan(api):
    send(api, heartbeat())
    pk = PeriodicTask.objects.get().pk
    api.patch(f"{TASKS}{pk}/", {"description": "By hand"})

    (changed,) = outcome(send(api, heartbeat(), to=MANIFEST))["changed"]

    assert changed["before"] == {"description": "By hand"}
    assert managed_by(api) == {"Heartbeat": "manifest"}


# --- Whose ----------------------------------------------------------------------------------


@pytest.fixture
def other(db: None) -> ContractClient:
    return service("other")


@pytest.mark.parametrize("principal", ["api", "other"])
def test_it_has_what_belongs_to_the_caller(request, api, other, principal):
    api.post(TASKS, heartbeat(name="api"))
    other.post(TASKS, heartbeat(name="other"))
    stored(name="nobody's")

    entries = manifest_of(request.getfixturevalue(principal))

    assert [entry["name"] for entry in entries] == [principal]


@pytest.mark.parametrize(("mine", "theirs"), [("api", "other"), ("other", "api")])
def test_the_name_of_anothers_task_is_taken(request, api, other, mine, theirs):
    request.getfixturevalue(theirs).post(TASKS, heartbeat(name="theirs", description="Secret"))

    response = send(
        request.getfixturevalue(mine), heartbeat(name="mine"), heartbeat(name="theirs")
    )

    assert refusal(response) == (409, "name_taken")
    assert mistakes(response) == [("/periodic_tasks/1/name", "name_taken")]
    assert b"Secret" not in response.content
    assert not PeriodicTask.objects.filter(name="mine").exists()


def test_to_prune_asks_for_the_scope_to_delete(db):
    writer = caller("writer", scopes=["periodic-tasks:write"])
    send(writer, heartbeat())

    assert refusal(send(writer, to=PRUNE)) == (403, "forbidden")
    assert PeriodicTask.objects.exists()


def test_nobody_reads_or_applies_one_without_a_key(db):
    nobody = ContractClient()

    assert refusal(nobody.get(MANIFEST)) == (401, "not_authenticated")
    assert refusal(send(nobody, heartbeat())) == (401, "not_authenticated")


def test_each_change_is_in_the_audit(api):
    send(api, heartbeat(name="one"), heartbeat(name="two"))
    send(api, heartbeat(name="one", description="New"), to=PRUNE)

    told = AuditEntry.objects.order_by("pk").values_list("operation", "object_name")

    assert list(told) == [
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


def test_a_secret_is_kept_by_its_stars(api, canary):
    send(api, sign_in(canary))

    (entry,) = manifest_of(api)
    assert entry["kwargs"] == {"password": "***"}
    assert outcome(send(api, entry))["unchanged"] == 1
    assert canary in PeriodicTask.objects.get().kwargs


def test_a_secret_that_changes_is_told_by_its_stars(api):
    old, new = make_canary(), make_canary()
    send(api, sign_in(old))
    tag = api.get(MANIFEST).headers["ETag"]

    response = send(api, sign_in(new))

    (changed,) = outcome(response)["changed"]
    assert changed["before"] == changed["after"] == {"kwargs": {"password": "***"}}
    assert not [each for each in (old, new) if each in response.content.decode()]
    assert api.get(MANIFEST).headers["ETag"] != tag


def test_stars_for_a_secret_that_is_not_there_are_refused(api):
    response = send(api, sign_in("***"))

    assert mistakes(response) == [("/periodic_tasks/0/kwargs/password", "redacted")]


# --- For the state that was seen ------------------------------------------------------------


def test_what_was_planned_can_be_applied_and_nothing_else(api):
    planned = send(api, heartbeat(), to=MANIFEST)
    tag = planned.headers["ETag"]
    assert api.get(MANIFEST).headers["ETag"] == tag

    api.post(TASKS, heartbeat(name="meanwhile"))
    stale = send(api, heartbeat(), **{"If-Match": tag})
    fresh = send(api, heartbeat(), **{"If-Match": api.get(MANIFEST).headers["ETag"]})

    assert refusal(stale) == (412, "revision_mismatch")
    assert fresh.headers["ETag"] == api.get(MANIFEST).headers["ETag"]


def test_who_has_it_already_is_not_sent_it(api):
    send(api, heartbeat())
    tag = api.get(MANIFEST).headers["ETag"]

    assert api.get(MANIFEST, headers={"If-None-Match": tag}).status_code == 304


def test_a_run_does_not_change_it(api):
    send(api, heartbeat())
    tag = api.get(MANIFEST).headers["ETag"]
    update_row(PeriodicTask.objects.get(), total_run_count=5, last_run_at="2027-01-01T00:00:00Z")

    assert api.get(MANIFEST).headers["ETag"] == tag


def test_two_at_once_do_not_see_half_of_each_other(two_at_once):
    def apply(client: ContractClient, number: int) -> Any:
        return send(client, *(heartbeat(name=f"{number} {n}") for n in range(20)), to=PRUNE)

    answers = two_at_once(apply)

    assert [len(outcome(answer)["created"]) for answer in answers] == [20, 20]
    assert ManagedTask.objects.count() == 40


# --- What is no manifest --------------------------------------------------------------------


def test_blanks_around_a_name_do_not_make_another(api):
    send(api, heartbeat(name="Heartbeat"))

    again = send(api, heartbeat(name=" Heartbeat "))

    assert (outcome(again)["created"], outcome(again)["unchanged"]) == ([], 1)


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
def test_what_is_no_manifest_is_refused(api, body, mistake):
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
def test_what_is_no_mode_is_refused(api, query, mistake):
    response = send(api, heartbeat(), to=f"{MANIFEST}?{query}")

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [mistake]


def test_yaml_that_cannot_be_read_is_refused_with_its_place(api):
    response = api.post(APPLY, "version: 1\nperiodic_tasks: *all\n", content_type=YAML)

    assert refusal(response) == (400, "malformed_body")
    assert "line 2, column 17" in response.json()["detail"]


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_not_allowed(api, method):
    assert refusal(getattr(api, method)(MANIFEST)) == (405, "method_not_allowed")
