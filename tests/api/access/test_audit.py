"""The audit log: every write over the API adds one entry in the same transaction."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django_celery_beat.models import PeriodicTask
from rest_framework.response import Response

from scheduler_api.access import actions
from scheduler_api.access.models import ApiKey, AuditEntry, ServiceAccount
from tests.api.periodic_tasks.examples import (
    EVERY_30_SECONDS,
    TASKS,
    address,
    heartbeat,
    stored,
)
from tests.api.writes import OBJECTS, WRITES, object_of, prepare
from tests.client import ContractClient
from tests.conftest import caller
from tests.contract.document import Operation

ENTRIES = "/api/v1/audit-entries/"
ACCOUNTS = "/api/v1/service-accounts/"
KEYS = "/api/v1/api-keys/"
INTERVALS = "/api/v1/interval-schedules/"
JSON = "application/json"


def name_of(operation: Operation) -> str:
    """Derive the audit operation from an operation id."""
    if operation.id == "createApiKey":
        return "issue"
    if operation.id == "createRun":
        return "run"
    if operation.id in {"batchPeriodicTask", "applyManifest"}:
        return "create"  # the only operation that the batch contains
    verb = re.split("(?=[A-Z])", operation.id)[0]
    return {"replace": "change", "put": "change", "update": "change"}.get(verb, verb)


def new_entries(known: set[int]) -> list[AuditEntry]:
    return list(AuditEntry.objects.exclude(pk__in=known).order_by("pk"))


def latest() -> AuditEntry:
    return AuditEntry.objects.latest("pk")


# --- Entries --------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", WRITES)
def test_each_write_adds_one_entry(api: ContractClient, operation: Operation):
    began_at = datetime.now(UTC)

    call = prepare(api, operation)
    known = {*AuditEntry.objects.values_list("pk", flat=True)}

    response = call(headers={"X-Request-Id": "the-request"})

    assert response.status_code < 300, response.json()
    [entry] = new_entries(known)
    object_type, *_ = object_of(operation)
    assert entry.object_type == object_type
    assert entry.account_name == "tests"
    assert entry.service_account == ServiceAccount.objects.get(name="tests")
    assert entry.key_prefix == ApiKey.objects.earliest("pk").prefix
    assert entry.request_id == "the-request"
    assert began_at <= entry.at <= datetime.now(UTC)
    assert entry.operation == name_of(operation)
    adds = {"create", "issue", "run", "retry", "cancel", "backfill"}
    adds |= {"rotate", "ping", "redeliver"}
    assert (entry.before is None) is (entry.operation in adds)
    assert (entry.after is None) is (entry.operation == "delete")


@pytest.mark.parametrize("operation", [op for op in WRITES if "{id}/" in op.values[0].path])
def test_write_to_an_unknown_object_adds_no_entry(api: ContractClient, operation: Operation):
    body = {} if "requestBody" in operation.described else None

    response = getattr(api, operation.method)(operation.path.replace("{id}", "987654"), body)

    assert response.status_code == 404
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("collection", sorted(OBJECTS.keys() - {"api-keys", "deliveries"}))
def test_change_entry_has_the_changed_fields(api: ContractClient, collection: str):
    _, body, change = OBJECTS[collection]
    made = api.post(f"/api/v1/{collection}/", body).json()

    changed = api.patch(f"/api/v1/{collection}/{made['id']}/", change).json()

    assert latest().before == {name: made[name] for name in change}
    assert latest().after == {name: changed[name] for name in change}


@pytest.mark.parametrize("collection", sorted(OBJECTS.keys() - {"api-keys", "deliveries"}))
def test_create_and_delete_entries_have_all_fields(api: ContractClient, collection: str):
    _, body, _ = OBJECTS[collection]

    made = api.post(f"/api/v1/{collection}/", body).json()
    created = latest()
    api.delete(f"/api/v1/{collection}/{made['id']}/")

    schedule = {"schedule"} & body.keys()
    assert created.object_id == latest().object_id == made["id"]
    assert {name: created.after[name] for name in body.keys() - schedule} == {
        name: made[name] for name in body.keys() - schedule
    }
    assert latest().before == created.after


@pytest.mark.parametrize("collection", sorted(OBJECTS.keys() - {"api-keys", "deliveries"}))
def test_change_without_difference_adds_no_entry(api: ContractClient, collection: str):
    _, body, change = OBJECTS[collection]
    made = api.post(f"/api/v1/{collection}/", body).json()
    address = f"/api/v1/{collection}/{made['id']}/"
    kept = AuditEntry.objects.count()

    assert api.put(address, made).status_code == 200
    assert api.patch(address, {name: made[name] for name in change}).status_code == 200

    assert AuditEntry.objects.count() == kept


def test_inline_schedule_is_in_the_entry_of_its_task(api: ContractClient):
    made = api.post(TASKS, heartbeat()).json()

    [entry] = AuditEntry.objects.all()
    assert entry.object_type == "periodic_task"
    assert entry.object_name == "Heartbeat"
    assert entry.after["schedule"] == {**EVERY_30_SECONDS, "id": made["interval"]}

    api.patch(f"{TASKS}{made['id']}/", {"schedule": {**EVERY_30_SECONDS, "every": 31}})

    assert latest().before == {"schedule": {**EVERY_30_SECONDS, "id": made["interval"]}}
    assert latest().after["schedule"]["every"] == 31
    assert AuditEntry.objects.count() == 2


def test_task_of_another_writer_is_audited_alike(api: ContractClient):
    task = stored()

    api.patch(f"{TASKS}{task.pk}/", {"labels": {"team": "sales"}})

    assert (latest().before, latest().after) == ({"labels": {}}, {"labels": {"team": "sales"}})


def test_key_entry_has_no_key_text(api: ContractClient):
    account = ServiceAccount.objects.get()

    key = api.post(KEYS, {"service_account": account.pk, "expires_at": None}).json()

    assert latest().after == {
        "service_account": account.pk,
        "prefix": key["prefix"],
        "expires_at": None,
        "revoked_at": None,
    }
    assert latest().object_name == f"sk_{key['prefix']}…"


def test_second_revocation_adds_no_entry(api: ContractClient):
    account = ServiceAccount.objects.get()
    key = api.post(KEYS, {"service_account": account.pk, "expires_at": None}).json()

    revoked = [api.post(f"{KEYS}{key['id']}/revoke/").json()["revoked_at"] for _ in range(2)]

    assert revoked[0] == revoked[1]
    [entry] = AuditEntry.objects.filter(operation="revoke")
    assert (entry.before, entry.after) == ({"revoked_at": None}, {"revoked_at": revoked[0]})


@pytest.mark.parametrize(
    "limit", ["requests_per_minute", "max_periodic_tasks", "min_interval_seconds"]
)
def test_change_of_account_limits_is_audited(api: ContractClient, limit: str):
    account = ServiceAccount.objects.create(name="billing", scopes=[])

    api.patch(f"{ACCOUNTS}{account.pk}/", {limit: 60})

    assert (latest().before, latest().after) == ({limit: None}, {limit: 60})


@pytest.mark.both_databases
def test_entry_keeps_the_name_of_a_deleted_account(api: ContractClient):
    account = ServiceAccount.objects.get()
    caller("another-admin", scopes=["admin"])

    assert api.delete(f"{ACCOUNTS}{account.pk}/").status_code == 204

    assert latest().account_name == "tests"
    assert latest().service_account is None


# --- Refusals and atomicity -----------------------------------------------------------------


def in_use(api: ContractClient) -> Response:
    task = stored()
    return api.delete(f"{INTERVALS}{task.interval_id}/")


def name_taken(api: ContractClient) -> Response:
    stored()
    return api.post(TASKS, heartbeat())


def account_name_taken(api: ContractClient) -> Response:
    return api.post(ACCOUNTS, {"name": "tests", "scopes": []})


def account_in_use(api: ContractClient) -> Response:
    api.post(TASKS, heartbeat())
    AuditEntry.objects.all().delete()
    return api.delete(f"{ACCOUNTS}{ServiceAccount.objects.get().pk}/")


@pytest.mark.both_databases
@pytest.mark.parametrize("refused", [in_use, name_taken, account_name_taken, account_in_use])
def test_refused_write_adds_no_entry(api: ContractClient, refused: Any):
    assert refused(api).status_code == 409

    assert not AuditEntry.objects.exists()


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("on purpose")


@pytest.mark.both_databases
def test_entry_is_rolled_back_with_its_change(
    api: ContractClient, monkeypatch: pytest.MonkeyPatch
):
    task = stored()
    monkeypatch.setattr(PeriodicTask, "delete", broken)
    api.raise_request_exception = False

    assert api.delete(address(task)).status_code == 500

    assert not AuditEntry.objects.exists()


@pytest.mark.both_databases
def test_change_is_rolled_back_without_its_entry(
    api: ContractClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(AuditEntry, "save", broken)
    api.raise_request_exception = False

    assert api.post(TASKS, heartbeat()).status_code == 500

    assert not PeriodicTask.objects.exists()


@pytest.mark.both_databases
def test_stored_entry_cannot_be_changed_or_deleted(api: ContractClient):
    api.post(TASKS, heartbeat())
    entry = latest()

    with pytest.raises(TypeError, match="append-only"):
        entry.save()
    with pytest.raises(TypeError, match="append-only"):
        entry.delete()


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_api_refuses_writes_of_entries(api: ContractClient, method: str):
    api.post(TASKS, heartbeat())

    for path in (ENTRIES, f"{ENTRIES}{latest().pk}/"):
        assert getattr(api, method)(path, {}).status_code == 405


# --- The command line -----------------------------------------------------------------------


@pytest.mark.django_db
def test_key_from_the_command_line_is_audited(capsys: Any):
    call_command("create_api_key", "--account", "ci", "--scopes", "tasks:read")
    text = capsys.readouterr().out.strip()

    assert_made_on_the_command_line("ci", text)


@pytest.mark.django_db
def test_first_key_is_audited(tmp_path: Any):
    actions.write_first_key(tmp_path / "admin.key")

    assert_made_on_the_command_line("admin", (tmp_path / "admin.key").read_text().strip())


def assert_made_on_the_command_line(account: str, text: str) -> None:
    made, issued = AuditEntry.objects.order_by("pk")
    assert (made.operation, made.object_type, made.object_name) == (
        "create",
        "service_account",
        account,
    )
    assert (issued.operation, issued.object_type) == ("issue", "api_key")
    for entry in (made, issued):
        assert entry.account_name == "command line"
        assert (entry.service_account, entry.key_prefix, entry.request_id) == (None, "", "")
    assert text not in str(issued.after)
    assert issued.after["prefix"] in text


# --- Reading --------------------------------------------------------------------------------


@pytest.fixture
def history(api: ContractClient) -> list[AuditEntry]:
    """Create and change objects with two accounts."""
    billing = caller("billing", scopes=["periodic-tasks:write", "audit:read"])
    made = api.post(TASKS, heartbeat(), headers={"X-Request-Id": "first"}).json()
    billing.post(TASKS, heartbeat(name="Bill"), headers={"X-Request-Id": "second"})
    api.patch(f"{TASKS}{made['id']}/", {"enabled": False}, headers={"X-Request-Id": "third"})
    api.post(INTERVALS, {"every": 3, "period": "days"}, headers={"X-Request-Id": "fourth"})
    return list(AuditEntry.objects.order_by("pk"))


def requests_of(response: Response) -> list[str]:
    assert response.status_code == 200, response.json()
    return [entry["request_id"] for entry in response.json()["results"]]


def test_entry_is_returned_by_id(api: ContractClient, history: list[AuditEntry]):
    entry = history[2]

    assert api.get(f"{ENTRIES}{entry.pk}/").json() == {
        "id": entry.pk,
        "at": entry.at.isoformat().replace("+00:00", "Z"),
        "account": "tests",
        "key_prefix": ApiKey.objects.earliest("pk").prefix,
        "request_id": "third",
        "operation": "change",
        "object_type": "periodic_task",
        "object_id": history[0].object_id,
        "object_name": "Heartbeat",
        "before": {"enabled": True},
        "after": {"enabled": False},
    }


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("ordering", "order"),
    [
        ({}, ["fourth", "third", "second", "first"]),
        ({"ordering": "-at"}, ["fourth", "third", "second", "first"]),
        ({"ordering": "id"}, ["first", "second", "third", "fourth"]),
    ],
)
@pytest.mark.usefixtures("history")
def test_entries_are_listed_newest_first(
    api: ContractClient, ordering: dict[str, str], order: list[str]
):
    page = api.get(ENTRIES, {**ordering, "page_size": "3"})
    rest = api.get(page.json()["next"])

    assert requests_of(page) + requests_of(rest) == order
    assert requests_of(api.get(rest.json()["previous"])) == order[:3]


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"account": "billing"}, ["second"]),
        ({"account": "nobody"}, []),
        ({"operation": "change"}, ["third"]),
        ({"object_type": "interval_schedule"}, ["fourth"]),
        ({"request_id": "first"}, ["first"]),
        ({"account": "tests", "operation": "create"}, ["fourth", "first"]),
    ],
)
@pytest.mark.usefixtures("history")
def test_entries_are_filtered(api: ContractClient, query: dict[str, str], found: list[str]):
    assert requests_of(api.get(ENTRIES, query)) == found


@pytest.mark.both_databases
def test_entries_are_filtered_by_object(api: ContractClient, history: list[AuditEntry]):
    query = {"object_type": "periodic_task", "object_id": str(history[0].object_id)}

    assert requests_of(api.get(ENTRIES, query)) == ["third", "first"]
    assert requests_of(api.get(ENTRIES, {"object_id": str(2**80)})) == []


@pytest.mark.both_databases
def test_entries_are_filtered_by_time(api: ContractClient, history: list[AuditEntry]):
    moment = history[2].at.isoformat()

    assert requests_of(api.get(ENTRIES, {"at_after": moment})) == ["fourth", "third"]
    assert requests_of(api.get(ENTRIES, {"at_before": moment})) == ["second", "first"]
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert requests_of(api.get(ENTRIES, {"at_after": later})) == []


@pytest.mark.parametrize(
    "query",
    [
        {"operation": "explode"},
        {"object_type": "teapot"},
        {"object_id": "one"},
        {"account": ""},
        {"request_id": ""},
        {"at_before": ""},
        {"at_after": "yesterday"},
        {"ordering": "account"},
        {"colour": "red"},
    ],
)
def test_invalid_filter_is_refused(api: ContractClient, query: dict[str, str]):
    response = api.get(ENTRIES, query)

    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == list(query)


def test_account_reads_its_own_entries_only(history: list[AuditEntry]):
    reader = caller("reader", scopes=["audit:read"])
    billing = ContractClient()
    _, text = ApiKey.issue(ServiceAccount.objects.get(name="billing"))
    billing.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")

    assert requests_of(reader.get(ENTRIES)) == []
    assert requests_of(billing.get(ENTRIES)) == ["second"]
    assert billing.get(f"{ENTRIES}{history[1].pk}/").status_code == 200
    assert billing.get(f"{ENTRIES}{history[0].pk}/").status_code == 404


@pytest.mark.django_db
def test_audit_log_requires_its_scope():
    assert caller("writer", scopes=["periodic-tasks:write"]).get(ENTRIES).status_code == 403
