"""POST /api/v1/periodic-tasks/batch/."""

from typing import Any

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from scheduler_api.access.models import AuditEntry
from scheduler_api.periodic_tasks import actions
from scheduler_api.periodic_tasks.models import ManagedTask
from tests.api.http.responses import mistakes, refusal
from tests.api.periodic_tasks.examples import EVERY_KIND, TASKS, imports, names, stored
from tests.client import ContractClient
from tests.conftest import caller

pytestmark = pytest.mark.both_databases

BATCH = f"{TASKS}batch/"


def batch(api: ContractClient, *operations: Any, query: str = "", **headers: str) -> Any:
    return api.post(BATCH + query, {"operations": list(operations)}, headers=headers)


def create(name: str, **fields: Any) -> dict[str, Any]:
    return {"op": "create", "body": imports(name=name, **fields)}


def made(api: ContractClient, name: str) -> int:
    pk: int = api.post(TASKS, imports(name=name)).json()["id"]
    return pk


def statuses(response: Any) -> list[int]:
    assert response.status_code == 200, response.json()
    return [result["status"] for result in response.json()["results"]]


def everything(api: ContractClient) -> list[Any]:
    results: list[Any] = api.get(TASKS).json()["results"]
    return results


# --- Operations -----------------------------------------------------------------------------


def test_batch_executes_each_operation(api):
    ids = {name: made(api, name) for name in ("changed", "deleted", "paused", "resumed")}
    api.post(f"{TASKS}{ids['resumed']}/pause/")

    response = batch(
        api,
        create("new"),
        {"op": "update", "id": ids["changed"], "body": {"description": "Changed"}},
        {"op": "delete", "id": ids["deleted"]},
        {"op": "pause", "id": ids["paused"], "body": {"note": "Too loud"}},
        {"op": "resume", "id": ids["resumed"]},
    )

    assert statuses(response) == [201, 200, 204, 200, 200]
    new, changed, deleted, paused, resumed = response.json()["results"]
    assert deleted == {"status": 204, "etag": None, "body": None}
    assert (new["body"]["name"], changed["body"]["description"]) == ("new", "Changed")
    assert (paused["body"]["paused"], paused["body"]["pause_note"]) == (True, "Too loud")
    assert resumed["body"]["paused"] is False
    for result in (new, changed, paused, resumed):
        answer = api.get(f"{TASKS}{result['body']['id']}/")
        assert (answer.json(), answer.headers["ETag"]) == (result["body"], result["etag"])
    assert names(api.get(TASKS)) == ["changed", "paused", "resumed", "new"]


def test_batch_creates_the_same_task_as_a_single_request(api):
    together = batch(api, create("Import contacts")).json()["results"][0]["body"]
    alone = api.post(TASKS, imports(name="Other")).json()

    different = {"id", "name", "date_changed", "next_run_at"}
    assert {key: value for key, value in together.items() if key not in different} == {
        key: value for key, value in alone.items() if key not in different
    }
    shown = AuditEntry.objects.order_by("pk").values("operation", "before", "after", "object_type")
    for entry in shown:
        entry["after"]["name"] = "the same"
    assert shown[0] == shown[1]


def test_batch_shares_equal_schedules(api):
    bodies = [
        create(f"{kind['type']} {number}", schedule=kind)
        for number in (1, 2)
        for kind in EVERY_KIND
    ]

    results = batch(api, *bodies).json()["results"]

    schedules = [result["body"]["schedule"] for result in results]
    assert schedules[: len(EVERY_KIND)] == schedules[len(EVERY_KIND) :]


def test_batch_accepts_a_schedule_by_id(api):
    row = stored(name="first").interval
    second = IntervalSchedule.objects.create(every=row.every, period=row.period)
    body = {name: value for name, value in imports().items() if name != "schedule"}

    result = batch(
        api, create("inline"), {"op": "create", "body": {**body, "interval": second.pk}}
    )

    assert result.json()["results"][1]["body"]["interval"] == second.pk


def test_operation_sees_the_effects_of_earlier_ones(api):
    pk = made(api, "first")

    response = batch(
        api,
        {"op": "update", "id": pk, "body": {"name": "second"}},
        create("first"),
        {"op": "update", "id": pk, "body": {"labels": {"team": "sales"}}},
        {"op": "delete", "id": pk},
        create("second"),
    )

    assert statuses(response) == [200, 201, 200, 204, 201]
    assert names(api.get(TASKS)) == ["first", "second"]


def test_batch_of_500_takes_few_queries(api, django_assert_max_num_queries):
    operations = [create(f"Task {number}") for number in range(500)]

    with django_assert_max_num_queries(60):
        response = batch(api, *operations)

    assert statuses(response) == [201] * 500
    assert PeriodicTask.objects.count() == ManagedTask.objects.count() == 500
    assert AuditEntry.objects.filter(operation="create").count() == 500


def test_batch_notifies_stock_beat(api):
    before = PeriodicTasks.last_change()

    batch(api, create("new"))

    assert PeriodicTasks.last_change() != before


# --- One transaction ------------------------------------------------------------------------


def test_atomic_batch_with_a_failure_changes_nothing_and_lists_all_mistakes(api):
    pk = made(api, "taken")
    before = everything(api)

    response = batch(
        api,
        create("fine"),
        create("wrong", kwargs={"be_carefull": True}),
        {"op": "update", "id": pk, "body": {"queue": "nowhere"}},
        create("taken"),
        {"op": "delete", "id": 999999},
        {"op": "pause", "id": pk, "body": {"until": "2000-01-01T00:00:00Z"}},
        {"op": "delete", "id": pk},
    )

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [
        ("/operations/1/body/kwargs/be_carefull", "unexpected_argument"),
        ("/operations/2/body/queue", "unknown_queue"),
        ("/operations/3", "name_taken"),
        ("/operations/4", "not_found"),
        ("/operations/5/body/until", "in_the_past"),
    ]
    assert everything(api) == before
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (create("taken"), (409, "name_taken")),
        ({"op": "delete", "id": 999999}, (404, "not_found")),
        (create("new", queue="nowhere"), (400, "validation_failed")),
    ],
)
def test_atomic_batch_has_the_problem_of_the_first_failure(api, operation, expected):
    made(api, "taken")

    response = batch(api, create("fine"), operation, create("wrong", args=[]))

    assert refusal(response) == expected
    assert response.json()["detail"].startswith("/operations/1")
    assert names(api.get(TASKS)) == ["taken"]


def test_batch_refuses_a_repeated_name(api):
    response = batch(api, create("one"), create("two"), create("one"))

    assert refusal(response) == (409, "name_taken")
    assert mistakes(response) == [("/operations/2", "name_taken")]


def test_batch_refuses_a_name_taken_by_a_concurrent_request(api, monkeypatch):
    made(api, "taken")
    true_answer = actions.taken_names
    too_early = iter([set()])
    monkeypatch.setattr(
        actions, "taken_names", lambda names: next(too_early, None) or true_answer(names)
    )

    response = batch(api, create("one"), create("taken"), create("two"), query="?atomic=false")

    assert statuses(response) == [201, 409, 201]
    assert sorted(names(api.get(TASKS))) == ["one", "taken", "two"]


# --- Without atomic -------------------------------------------------------------------------


def test_batch_without_atomic_has_a_result_per_operation(api):
    pk = made(api, "taken")

    response = batch(
        api,
        create("taken"),
        create("fine"),
        {"op": "update", "id": pk, "body": {"args": [1]}},
        {"op": "pause", "id": pk},
        {"op": "resume", "id": 999999},
        query="?atomic=false",
    )

    assert statuses(response) == [409, 201, 400, 200, 404]
    taken, fine, wrong, *_ = response.json()["results"]
    assert (taken["body"]["code"], taken["etag"]) == ("name_taken", None)
    assert fine["body"]["name"] == "fine"
    assert wrong["body"]["errors"][0]["pointer"].startswith("/operations/2/body/")
    assert sorted(names(api.get(TASKS))) == ["fine", "taken"]


# --- Preconditions --------------------------------------------------------------------------


def test_operation_with_stale_if_match_is_refused(api):
    pk = made(api, "watched")
    tag = api.get(f"{TASKS}{pk}/").headers["ETag"]
    change = {"op": "update", "id": pk, "if_match": tag, "body": {"description": "New"}}

    seen, stale = batch(api, change), batch(api, change)

    assert statuses(seen) == [200]
    assert refusal(stale) == (412, "revision_mismatch")
    assert statuses(batch(api, {**change, "if_match": "*"})) == [200]


def test_delete_in_a_batch_requires_its_scope(api):
    task = stored()
    writer = caller("writer", scopes=["periodic-tasks:write"], sees_unowned=True)

    response = batch(writer, {"op": "delete", "id": task.pk})

    assert refusal(response) == (403, "forbidden")
    assert mistakes(response) == [("/operations/0", "forbidden")]
    assert PeriodicTask.objects.exists()


def test_batch_repeated_with_its_idempotency_key_has_one_effect(api):
    key = {"Idempotency-Key": "the-same"}

    first, second = (batch(api, create("new"), **key) for _ in range(2))

    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.json() == first.json()


def test_batch_as_dry_run_shows_results_and_stores_nothing(api):
    pk = made(api, "old")
    before = everything(api)

    response = batch(
        api,
        create("new"),
        {"op": "pause", "id": pk},
        {"op": "delete", "id": pk},
        query="?dry_run=true",
    )

    assert statuses(response) == [201, 200, 204]
    new, *_ = response.json()["results"]
    assert (new["body"]["id"], new["etag"], len(new["body"]["upcoming"])) == (None, None, 5)
    assert everything(api) == before


def test_batch_response_hides_secrets(api, canary):
    body = {
        "name": "Sign in",
        "task": "project.tasks.sign_in",
        "args": ["ann"],
        "kwargs": {"password": canary},
        "schedule": EVERY_KIND[0],
    }

    response = batch(api, {"op": "create", "body": body})

    assert response.json()["results"][0]["body"]["kwargs"] == {"password": "***"}
    assert canary in PeriodicTask.objects.get().kwargs
    assert canary not in response.content.decode()


# --- Refused batches ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        ({}, ("/operations", "required")),
        ({"operations": []}, ("/operations", "empty")),
        ({"operations": {}}, ("/operations", "not_a_list")),
        ({"operations": [{"op": "resume", "id": 1}] * 501}, ("/operations", "max_length")),
        ({"operations": [1]}, ("/operations/0", "invalid")),
        ({"operations": [{}]}, ("/operations/0/op", "unknown_op")),
        ({"operations": [{"op": "drop", "id": 1}]}, ("/operations/0/op", "unknown_op")),
        ({"operations": [{"op": [], "id": 1}]}, ("/operations/0/op", "unknown_op")),
        ({"operations": [{"op": "create"}]}, ("/operations/0/body", "required")),
        ({"operations": [{"op": "update", "body": {}}]}, ("/operations/0/id", "required")),
        ({"operations": [{"op": "delete", "id": "1"}]}, ("/operations/0/id", "invalid")),
        ({"operations": [{"op": "delete", "id": 0}]}, ("/operations/0/id", "min_value")),
        ({"operations": [{"op": "delete", "id": 10**18}]}, ("/operations/0/id", "max_value")),
        (
            {"operations": [{"op": "delete", "id": 1, "body": {}}]},
            ("/operations/0/body", "unknown_field"),
        ),
        (
            {"operations": [{"op": "create", "id": 1, "body": {}}]},
            ("/operations/0/id", "unknown_field"),
        ),
        ({"operations": [{"op": "create", "body": []}]}, ("/operations/0/body", "invalid")),
        ({"operations": [], "atomic": False}, ("/atomic", "unknown_field")),
    ],
)
def test_invalid_batch_is_refused(api, body, mistake):
    response = api.post(BATCH, body)

    assert refusal(response) == (400, "validation_failed")
    assert mistake in mistakes(response)


@pytest.mark.parametrize("value", ["", "no", "False"])
def test_atomic_with_an_invalid_value_is_refused(api, value):
    response = batch(api, create("new"), query=f"?atomic={value}")

    assert mistakes(response) == [("atomic", "invalid")]
    assert names(api.get(TASKS)) == []


def test_batch_may_be_larger_than_other_bodies(api):
    text = "x" * 60_000

    response = batch(api, *(create(f"Task {n}", args=[text, "there"]) for n in range(20)))

    assert statuses(response) == [201] * 20


def test_batch_that_is_too_large_is_refused(api):
    response = batch(api, create("x" * 8_400_000))

    assert refusal(response) == (413, "body_too_large")


def test_concurrent_batches_on_the_same_tasks_both_succeed(two_at_once):
    ids = [stored(name=f"Task {number}").pk for number in range(20)]

    def change(client: ContractClient, number: int) -> Any:
        order = ids if number else ids[::-1]
        return batch(
            client,
            *({"op": "update", "id": pk, "body": {"description": str(number)}} for pk in order),
        )

    answers = two_at_once(change)

    assert [statuses(answer) for answer in answers] == [[200] * 20] * 2
    assert len(set(PeriodicTask.objects.values_list("description", flat=True))) == 1
