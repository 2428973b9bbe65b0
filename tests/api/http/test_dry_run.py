"""`?dry_run=true` on every write: all checks, no change, the result in the response."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.apps import apps
from django.db.models import Model
from django_celery_beat.models import IntervalSchedule
from rest_framework.response import Response

from tests.api.http.responses import mistakes, refusal
from tests.api.periodic_tasks.examples import (
    EVERY_30_SECONDS,
    TASKS,
    address,
    heartbeat,
    stored,
)
from tests.api.schedules.bodies import CRONTABS, INTERVALS, KINDS
from tests.api.writes import CHANGES_NOTHING, WRITES, prepare
from tests.client import ContractClient
from tests.conftest import caller
from tests.contract.document import OPERATIONS, Operation

ACCOUNTS = "/api/v1/service-accounts/"
KEYS = "/api/v1/api-keys/"
DRY = "?dry_run=true"
NEW_SCHEDULE = {"type": "interval", "every": 977, "period": "seconds"}


def everything_stored() -> dict[type[Model], list[dict[str, Any]]]:
    """Return all rows of the app's own tables and of django-celery-beat's."""
    return {
        model: list(model._default_manager.order_by("pk").values())
        for label in ("scheduler_api", "django_celery_beat")
        for model in apps.get_app_config(label).get_models()
    }


def dry(call: Any, **headers: str) -> Response:
    """Send a prepared write as a dry run."""
    send, (path, body) = call.func, call.args
    query = DRY.replace("?", "&") if "?" in path else DRY
    response: Response = send(path + query, body, headers=headers)
    return response


# --- All writes -----------------------------------------------------------------------------


@pytest.mark.both_databases
@pytest.mark.parametrize("operation", WRITES)
def test_dry_run_changes_nothing_and_the_write_does(api: ContractClient, operation: Operation):
    call = prepare(api, operation)
    before = everything_stored()

    rehearsed = dry(call, **{"Idempotency-Key": "not-kept"})

    assert everything_stored() == before
    written = call()
    made = written.status_code in {201, 202}
    assert rehearsed.status_code == (200 if made else written.status_code)
    assert everything_stored() != before
    assert "Location" not in rehearsed.headers
    assert "ETag" not in rehearsed.headers


def ids_in(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the ids in a response, with the name of each."""
    match value:
        case dict():
            for name, inner in value.items():
                if name in {"id", "event_id", *KINDS} and not isinstance(inner, dict):
                    yield name, inner
                yield from ids_in(inner)
        case list():
            for inner in value:
                yield from ids_in(inner)


@pytest.mark.both_databases
@pytest.mark.parametrize("operation", WRITES)
def test_dry_run_invents_no_id(api: ContractClient, operation: Operation):
    call = prepare(api, operation)
    if isinstance(call.args[1], dict) and "schedule" in call.args[1]:
        call = partial(call.func, call.args[0], {**call.args[1], "schedule": NEW_SCHEDULE})

    rehearsed = dry(call)

    rows = [row for rows in everything_stored().values() for row in rows]
    known = {str(row[name]) for row in rows for name in ("id", "event_id") if name in row}
    found = [*ids_in(rehearsed.json())] if rehearsed.content else []
    if operation.id == "backfillPeriodicTask":
        # The ids of the runs are computed from their slots.
        assert found
        assert found == [*ids_in(call().json())]
        return
    assert [(name, pk) for name, pk in found if pk is not None and str(pk) not in known] == []


@pytest.mark.parametrize("kind", KINDS)
def test_dry_run_shows_the_id_of_a_stored_schedule_only(api: ContractClient, kind: str):
    path, body, changed = KINDS[kind]
    pk = api.post(path, body).json()["id"]
    new = {"type": kind, **changed}
    made = api.post(TASKS, heartbeat(schedule={"type": kind, **body})).json()
    operations = [
        {"op": "create", "body": heartbeat(name="New", schedule=new)},
        {"op": "update", "id": made["id"], "body": {"schedule": new}},
    ]

    answers = [
        api.post(TASKS + DRY, heartbeat(name="New", schedule=new)).json(),
        api.patch(f"{TASKS}{made['id']}/{DRY}", {"schedule": new}).json(),
        api.patch(f"{TASKS}{made['id']}/{DRY}", {"description": "Same schedule"}).json(),
    ]
    results = api.post(f"{TASKS}batch/{DRY}", {"operations": operations}).json()["results"]

    shown = [(answer[kind], answer["schedule"]["id"]) for answer in answers]
    assert shown == [(None, None), (None, None), (pk, pk)]
    assert [result["body"][kind] for result in results] == [None, None]


@pytest.mark.parametrize("operation", [pytest.param(op, id=op.id) for op in OPERATIONS])
def test_every_write_and_no_other_operation_accepts_dry_run(operation: Operation):
    taken = {parameter["name"] for parameter in operation.parameters()}

    is_write = operation.method != "get" and operation.id not in CHANGES_NOTHING
    assert ("dry_run" in taken) is is_write


@pytest.mark.parametrize("value", ["", "yes", "True", "1"])
def test_dry_run_other_than_true_or_false_is_refused(api: ContractClient, value: str):
    response = api.post(f"{TASKS}?dry_run={value}", heartbeat())

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [("dry_run", "invalid")]


def test_dry_run_false_is_as_without_it(api: ContractClient):
    assert api.post(f"{TASKS}?dry_run=false", heartbeat()).status_code == 201


@pytest.mark.parametrize("path", [TASKS, INTERVALS, "/api/v1/tasks/"])
def test_read_operation_refuses_dry_run(api: ContractClient, path: str):
    assert mistakes(api.get(path + DRY)) == [("dry_run", "unknown_parameter")]


def test_post_that_only_reads_refuses_dry_run(api: ContractClient):
    body = {"schedule": EVERY_30_SECONDS}

    response = api.post(f"/api/v1/schedules/preview/{DRY}", body)

    assert mistakes(response) == [("dry_run", "unknown_parameter")]


# --- Responses ------------------------------------------------------------------------------


def test_dry_run_of_a_new_periodic_task_returns_its_next_five_slots(api: ContractClient):
    rehearsed = api.post(TASKS + DRY, heartbeat()).json()
    written = api.post(TASKS, heartbeat()).json()

    upcoming = rehearsed.pop("upcoming")
    assert rehearsed["id"] is None
    assert upcoming[0] == rehearsed["next_run_at"]
    assert len(upcoming) == 5
    assert rehearsed.keys() == written.keys()
    same = {"name", "task", "args", "kwargs", "labels", "owner", "managed_by", "revision"}
    assert {name: rehearsed[name] for name in same} == {name: written[name] for name in same}


def test_dry_run_of_a_change_returns_the_changed_periodic_task(api: ContractClient):
    made = api.post(TASKS, heartbeat()).json()
    nightly = {"type": "crontab", "expression": "0 3 * * *", "timezone": "UTC"}

    rehearsed = api.patch(f"{TASKS}{made['id']}/{DRY}", {"schedule": nightly}).json()

    assert rehearsed["id"] == made["id"]
    assert rehearsed["revision"] == made["revision"] + 1
    assert {slot[11:] for slot in rehearsed["upcoming"]} == {"03:00:00Z"}
    assert len(rehearsed["upcoming"]) == 5
    assert api.get(f"{TASKS}{made['id']}/").json() == made


@pytest.mark.parametrize("kind", KINDS)
def test_dry_run_of_a_schedule_returns_its_next_slots(api: ContractClient, kind: str):
    path, body, changed = KINDS[kind]
    pk = api.post(path, body).json()["id"]

    new = api.post(path + DRY, changed)
    other = api.put(f"{path}{pk}/{DRY}", changed)

    assert (new.status_code, other.status_code) == (200, 200)
    assert (new.json()["id"], other.json()["id"]) == (None, pk)
    slots = 1 if kind == "clocked" else 5
    assert len(new.json()["upcoming"]) == len(other.json()["upcoming"]) == slots


def test_dry_run_of_a_disabled_task_has_no_slots(api: ContractClient):
    assert api.post(TASKS + DRY, heartbeat(enabled=False)).json()["upcoming"] == []


def test_dry_run_of_an_invalid_stored_task_has_no_slots(api: ContractClient):
    task = stored()
    IntervalSchedule.objects.update(period="fortnights")

    one = api.patch(address(task) + DRY, {"description": "Broken"})
    its_schedule = api.patch(f"{INTERVALS}{task.interval_id}/{DRY}", {})

    assert (one.status_code, one.json()["upcoming"]) == (200, [])
    assert (its_schedule.status_code, its_schedule.json()["upcoming"]) == (200, [])


def test_dry_run_issues_no_api_key(api: ContractClient):
    account = api.post(ACCOUNTS, {"name": "billing", "scopes": []}).json()

    rehearsed = api.post(KEYS + DRY, {"service_account": account["id"], "expires_at": None})

    assert rehearsed.status_code == 200
    assert [rehearsed.json()[name] for name in ("id", "prefix", "key")] == [None] * 3
    assert b"sk_" not in rehearsed.content


# --- Refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        heartbeat(task="project.tasks.heartbeet"),
        heartbeat(schedule={"type": "crontab", "expression": "0 0 31 2 *"}),
        heartbeat(args=[1]),
        heartbeat(colour="red"),
    ],
)
def test_dry_run_refuses_an_invalid_body_as_the_write_does(
    api: ContractClient, body: dict[str, Any]
):
    rehearsed, written = api.post(TASKS + DRY, body), api.post(TASKS, body)

    assert refusal(rehearsed) == refusal(written)
    assert mistakes(rehearsed) == mistakes(written)


def test_dry_run_refuses_a_taken_name(api: ContractClient):
    stored()

    assert refusal(api.post(TASKS + DRY, heartbeat())) == (409, "name_taken")


def test_dry_run_refuses_a_stale_if_match(api: ContractClient):
    made = api.post(TASKS, heartbeat()).json()

    response = api.patch(
        f"{TASKS}{made['id']}/{DRY}", {"enabled": False}, headers={"If-Match": '"another"'}
    )

    assert refusal(response) == (412, "revision_mismatch")


def test_dry_run_refuses_an_invalid_idempotency_key(api: ContractClient):
    response = api.post(TASKS + DRY, heartbeat(), headers={"Idempotency-Key": "a b"})

    assert refusal(response) == (400, "invalid_idempotency_key")


def test_dry_run_refuses_to_delete_a_schedule_in_use(api: ContractClient):
    task = stored()

    response = api.delete(f"{INTERVALS}{task.interval_id}/{DRY}")

    assert refusal(response) == (409, "schedule_in_use")


def test_dry_run_requires_the_scope_of_the_write(db: None):
    reader = caller("reader", scopes=["schedules:read"])

    assert refusal(reader.post(CRONTABS + DRY, {"minute": "5"})) == (403, "forbidden")
