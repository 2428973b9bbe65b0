"""Quota of periodic tasks of an account."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from scheduler_api.access.models import AuditEntry, ServiceAccount
from tests.api.access.callers import key_of, service, with_key
from tests.api.http.responses import mistakes, refusal
from tests.api.periodic_tasks.examples import (
    TASKS,
    heartbeat,
    stored,
    without,
)
from tests.client import ContractClient


def heartbeats(*numbers: int, **fields: Any) -> list[dict[str, Any]]:
    return [heartbeat(name=f"Heartbeat {number}", **fields) for number in numbers]


@pytest.mark.both_databases
@pytest.mark.parametrize("quota", [0, 1, 3])
def test_create_beyond_the_quota_is_refused(db, quota):
    limited = service("limited", max_periodic_tasks=quota)
    for body in heartbeats(*range(quota)):
        assert limited.post(TASKS, body).status_code == 201

    refused = limited.post(TASKS, heartbeat())

    assert refusal(refused) == (409, "too_many_periodic_tasks")
    assert refused.json()["detail"] == (
        f"The account 'limited' owns {quota} of at most {quota} periodic tasks."
    )
    assert PeriodicTask.objects.count() == quota
    assert IntervalSchedule.objects.count() == min(quota, 1)
    assert AuditEntry.objects.count() == quota


def test_batch_beyond_the_quota_is_refused(db):
    limited = service("limited", max_periodic_tasks=2)
    operations = [{"op": "create", "body": body} for body in heartbeats(1, 2, 3)]

    refused = limited.post(f"{TASKS}batch/", {"operations": operations})
    assert refusal(refused) == (409, "too_many_periodic_tasks")
    assert mistakes(refused) == [("/operations/2", "too_many_periodic_tasks")]
    assert not PeriodicTask.objects.exists()

    answer = limited.post(f"{TASKS}batch/?atomic=false", {"operations": operations}).json()
    assert [result["status"] for result in answer["results"]] == [201, 201, 409]


def test_batch_may_delete_before_it_creates(db):
    limited = service("limited", max_periodic_tasks=1)
    old = limited.post(TASKS, heartbeat(name="old")).json()["id"]
    operations = [{"op": "delete", "id": old}, {"op": "create", "body": heartbeat(name="new")}]

    assert limited.post(f"{TASKS}batch/", {"operations": operations}).status_code == 200


def test_manifest_beyond_the_quota_is_refused(db):
    limited = service("limited", max_periodic_tasks=2)

    def apply(*numbers: int) -> Any:
        document = {"version": 1, "periodic_tasks": heartbeats(*numbers)}
        return limited.post("/api/v1/manifest/?mode=apply&prune=true", document)

    assert apply(1, 2).status_code == 200
    assert refusal(apply(1, 2, 3)) == (409, "too_many_periodic_tasks")
    assert apply(3, 4).json()["created"] == ["Heartbeat 3", "Heartbeat 4"]


def test_put_by_name_beyond_the_quota_only_replaces(db):
    limited = service("limited", max_periodic_tasks=1)
    body = without(heartbeat(), "name")

    answers = [limited.put(f"{TASKS}by-name/{name}/", body) for name in ("one", "one", "two")]

    assert [answer.status_code for answer in answers] == [201, 200, 409]
    assert refusal(answers[-1]) == (409, "too_many_periodic_tasks")


def test_account_above_its_quota_may_change_and_delete(db):
    limited = service("limited")
    first, second = (limited.post(TASKS, body).json() for body in heartbeats(1, 2))
    ServiceAccount.objects.update(max_periodic_tasks=1)

    assert limited.patch(f"{TASKS}{first['id']}/", {"enabled": False}).status_code == 200
    assert limited.delete(f"{TASKS}{first['id']}/").status_code == 204
    assert limited.post(TASKS, heartbeat()).status_code == 409
    assert limited.delete(f"{TASKS}{second['id']}/").status_code == 204
    assert limited.post(TASKS, heartbeat()).status_code == 201


def test_quota_ignores_tasks_of_other_accounts(api):
    limited = service("limited", max_periodic_tasks=1, sees_unowned=True)
    stored(name="Nobody's")
    api.post(TASKS, heartbeat(name="Another's"))

    assert limited.post(TASKS, heartbeat()).status_code == 201


def test_quota_applies_to_admin_accounts(api):
    ServiceAccount.objects.update(max_periodic_tasks=0)

    assert refusal(api.post(TASKS, heartbeat())) == (409, "too_many_periodic_tasks")


def test_quota_counts_disabled_tasks(db):
    limited = service("limited", max_periodic_tasks=1)
    limited.post(TASKS, heartbeat(enabled=False))

    assert limited.post(TASKS, heartbeat(name="Another")).status_code == 409


@pytest.mark.both_databases
def test_concurrent_creates_do_not_exceed_the_quota(two_at_once):
    limited = key_of(service("limited", max_periodic_tasks=1))
    bodies = heartbeats(0, 1)

    responses = two_at_once(lambda _, number: with_key(limited).post(TASKS, bodies[number]))

    assert sorted(response.status_code for response in responses) == [201, 409]
    assert PeriodicTask.objects.count() == 1


def test_create_without_a_quota_takes_no_extra_query(db):
    free, limited = service("free"), service("limited", max_periodic_tasks=9)
    stored()

    def queries_of(client: ContractClient, body: dict[str, Any]) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.post(TASKS, body).status_code == 201
        return len(queries)

    one, other = heartbeats(1, 2)
    assert queries_of(limited, one) == queries_of(free, other) + 2
