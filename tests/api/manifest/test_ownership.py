"""The manifest of an account: managed_by, ownership, audit and secrets."""

from typing import Any

import pytest
from django_celery_beat.models import PeriodicTask

from scheduler_api.access.models import AuditEntry
from tests.api.access.callers import service
from tests.api.http.responses import mistakes, refusal
from tests.api.manifest.requests import MANIFEST, PRUNE, exported_entries, result_of, send_manifest
from tests.api.periodic_tasks.examples import (
    TASKS,
    heartbeat,
    names,
    stored,
)
from tests.canaries import make_canary
from tests.client import ContractClient
from tests.conftest import caller

pytestmark = pytest.mark.both_databases


# --- managed_by --------------------------------------------------------------------------------


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


# --- Ownership ---------------------------------------------------------------------------------


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


# --- Secrets -----------------------------------------------------------------------------------


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
