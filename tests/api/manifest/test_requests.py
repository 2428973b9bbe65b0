"""Requests for a manifest: entity tags, concurrency and refusals."""

from typing import Any

import pytest
from django_celery_beat.models import PeriodicTask

from scheduler_api.periodic_tasks.models import ManagedTask
from tests.api.http.responses import mistakes, refusal
from tests.api.manifest.requests import APPLY, MANIFEST, PRUNE, YAML, result_of, send_manifest
from tests.api.periodic_tasks.examples import (
    TASKS,
    heartbeat,
    names,
    update_row,
)
from tests.client import ContractClient

pytestmark = pytest.mark.both_databases


# --- Entity tags -------------------------------------------------------------------------------


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


# --- Refusals ----------------------------------------------------------------------------------


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
