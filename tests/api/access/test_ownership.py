"""Ownership of periodic tasks: tested on every operation of openapi.yaml, with four callers."""

from typing import Any

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from scheduler_api.periodic_tasks.models import ManagedTask
from tests.api.access.callers import EVERYTHING_BUT_ADMIN, account_of, service
from tests.api.http.responses import mistakes, refusal
from tests.api.periodic_tasks.examples import (
    EVERY_30_SECONDS,
    TASKS,
    address,
    heartbeat,
    names,
    stored,
    without,
)
from tests.api.schedules.bodies import INTERVALS, KINDS
from tests.client import ContractClient
from tests.contract.document import OPERATIONS, Operation

MINE = {"description": "Mine"}
# By operation id: the body for a periodic task, and the status for its owner.
AT_A_TASK: dict[str, tuple[Any, int]] = {
    "getPeriodicTask": (None, 200),
    "replacePeriodicTask": (heartbeat(**MINE), 200),
    "updatePeriodicTask": (MINE, 200),
    "deletePeriodicTask": (None, 204),
    "getPeriodicTaskUpcoming": (None, 200),
    "pausePeriodicTask": ({}, 200),
    "resumePeriodicTask": (None, 200),
    "runPeriodicTask": ({}, 202),
    "backfillPeriodicTask": (
        {"from": "2025-01-01T00:00:00Z", "until": "2025-01-01T00:01:00Z"},
        202,
    ),
}
# These operations have tests of their own.
AT_ALL_TASKS = {
    "listPeriodicTasks",
    "createPeriodicTask",
    "putPeriodicTaskByName",
    # tests/api/periodic_tasks/test_by_name.py tests the visibility of these.
    "getPeriodicTaskByName",
    "updatePeriodicTaskByName",
    "deletePeriodicTaskByName",
    "batchPeriodicTask",
    "listUpcoming",  # tests/api/periodic_tasks/test_upcoming_of_all.py tests their visibility
}
AT_SCHEDULES = {
    operation.id
    for operation in OPERATIONS
    if operation.path.startswith(tuple(path for path, *_ in KINDS.values()))
}
# tests/api/runs/ tests their permissions in several modules, such as test_ownership.py.
AT_RUNS = {
    *("listRuns", "getRun", "getRunStats", "getPeriodicTaskRuns"),
    *("createRun", "cancelRun", "retryRun"),
}
# tests/api/manifest/test_ownership.py tests their visibility.
AT_MANIFESTS = {"getManifest", "applyManifest"}
# tests/api/webhooks/test_ownership.py tests their permissions.
AT_WEBHOOKS = {
    operation.id
    for operation in OPERATIONS
    if operation.path.startswith(("/api/v1/webhooks/", "/api/v1/deliveries/"))
}
WITHOUT_TASKS = {
    "getApiIndex",
    "previewSchedule",
    "listTasks",
    "getTask",
    # Only admin reads all of these; tests/api/access/test_scopes.py keeps others out.
    "listServiceAccounts",
    "createServiceAccount",
    "listWorkers",
    "getServiceAccount",
    "replaceServiceAccount",
    "updateServiceAccount",
    "deleteServiceAccount",
    "listApiKeys",
    "createApiKey",
    "getApiKey",
    "revokeApiKey",
    "listAuditEntries",
    "getAuditEntry",
}
at_each_task_operation = pytest.mark.parametrize(
    "operation",
    [pytest.param(operation, id=operation.id) for operation in OPERATIONS
     if operation.id in AT_A_TASK],
)  # fmt: skip


@pytest.fixture
def owner(db: None) -> ContractClient:
    return service("owner")


@pytest.fixture
def other(db: None) -> ContractClient:
    return service("other")


@pytest.fixture
def seer(db: None) -> ContractClient:
    return service("seer", sees_unowned=True)


@pytest.fixture
def task(owner: ContractClient) -> PeriodicTask:
    """A periodic task of the owner."""
    pk = owner.post(TASKS, heartbeat()).json()["id"]
    return PeriodicTask.objects.get(pk=pk)


def call(client: ContractClient, operation: Operation, pk: int) -> Any:
    body, _ = AT_A_TASK[operation.id]
    return getattr(client, operation.method)(operation.path.replace("{id}", str(pk)), body)


def is_unchanged(task: PeriodicTask) -> bool:
    return PeriodicTask.objects.filter(
        pk=task.pk, description="", date_changed=task.date_changed
    ).exists()


def test_every_operation_on_periodic_tasks_is_covered():
    known = AT_A_TASK.keys() | AT_ALL_TASKS | AT_MANIFESTS | AT_RUNS | AT_SCHEDULES | AT_WEBHOOKS
    known |= WITHOUT_TASKS

    unknown = {operation.id for operation in OPERATIONS} - known
    assert not unknown, f"who may see what with {unknown}? Say it in a table of this file"
    assert not known - {operation.id for operation in OPERATIONS}


# --- One periodic task ----------------------------------------------------------------------


@at_each_task_operation
def test_owner_may_use_every_operation(owner, task, operation):
    assert call(owner, operation, task.pk).status_code == AT_A_TASK[operation.id][1]


@at_each_task_operation
def test_admin_may_use_every_operation_and_the_owner_stays(api, task, operation):
    response = call(api, operation, task.pk)

    assert response.status_code == AT_A_TASK[operation.id][1]
    if operation.method != "delete":
        assert ManagedTask.objects.get(periodic_task=task).owner == account_of("owner")


@at_each_task_operation
def test_other_account_gets_not_found(other, seer, task, operation):
    for client in (other, seer):
        response, nothing = call(client, operation, task.pk), call(client, operation, 999999)

        assert refusal(response) == refusal(nothing) == (404, "not_found")
        assert response.json()["detail"] == nothing.json()["detail"]
    assert is_unchanged(task)


@at_each_task_operation
def test_request_without_a_key_is_refused(task, operation):
    assert refusal(call(ContractClient(), operation, task.pk)) == (401, "not_authenticated")
    assert is_unchanged(task)


@at_each_task_operation
def test_unowned_task_is_visible_to_admin_and_sees_unowned(
    api, owner, seer, operation
):  # fmt: skip
    for client, may in ((owner, False), (api, True), (seer, True)):
        PeriodicTask.objects.all().delete()
        task = stored()

        response = call(client, operation, task.pk)

        assert response.status_code == (AT_A_TASK[operation.id][1] if may else 404)
        assert may or is_unchanged(task)


@at_each_task_operation
def test_task_with_managed_settings_without_owner_is_unowned(owner, seer, operation):
    task = stored()
    ManagedTask.objects.create(periodic_task=task)

    assert call(owner, operation, task.pk).status_code == 404
    assert call(seer, operation, task.pk).status_code == AT_A_TASK[operation.id][1]


def test_new_task_belongs_to_its_creator(owner, api):
    own = owner.post(TASKS, heartbeat(name="own"))
    admins = api.post(TASKS, heartbeat(name="admin's"))

    assert (own.status_code, own.json()["owner"]) == (201, "owner")
    assert (admins.status_code, admins.json()["owner"]) == (201, "tests")
    assert refusal(ContractClient().post(TASKS, heartbeat())) == (401, "not_authenticated")


@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_owner_field_in_a_body_is_ignored(owner, other, task, method):
    body = heartbeat(name="Another", owner="other")
    response = getattr(owner, method)(TASKS if method == "post" else address(task), body)

    assert response.json()["owner"] == "owner"
    assert names(other.get(TASKS)) == []


# --- Lists ----------------------------------------------------------------------------------


@pytest.fixture
def everybodys(api, owner, other) -> None:
    for name, client in (("admins", api), ("owners", owner), ("others", other)):
        client.post(TASKS, heartbeat(name=name))
    stored(name="nobodys")


LISTS = {
    "owner": ["owners"],
    "other": ["others"],
    "seer": ["nobodys"],
    "api": ["admins", "nobodys", "others", "owners"],
}


@pytest.mark.usefixtures("everybodys")
@pytest.mark.parametrize("principal", LISTS)
@pytest.mark.parametrize(
    "query",
    [
        {},
        {"search": "s"},
        {"search": "HEARTBEAT"},
        {"enabled": "true"},
        {"one_off": "false"},
        {"task": "project.tasks.heartbeat"},
        {"schedule_type": "interval"},
        {"interval": "{interval}"},
        {"date_changed_after": "2000-01-01T00:00:00Z"},
        {"ordering": "-id"},
        {"page_size": "1"},
    ],
)
def test_list_has_only_visible_tasks(request, principal, query):
    client = request.getfixturevalue(principal)
    interval = IntervalSchedule.objects.get().pk
    page = client.get(TASKS, {key: text.format(interval=interval) for key, text in query.items()})

    found = names(page)
    while page.json()["next"]:
        page = client.get(page.json()["next"])
        found += names(page)

    assert sorted(found) == LISTS[principal]


@pytest.mark.usefixtures("everybodys")
@pytest.mark.parametrize("principal", LISTS)
def test_name_lookup_finds_only_visible_tasks(request, principal):
    client = request.getfixturevalue(principal)

    for name in LISTS["api"]:
        found = names(client.get(TASKS, {"name": name}))
        assert found == ([name] if name in LISTS[principal] else [])


def test_list_without_a_key_is_refused(task):
    assert refusal(ContractClient().get(TASKS)) == (401, "not_authenticated")


@pytest.mark.parametrize("ordering", ["id", "-id", "name", "date_changed"])
def test_cursor_of_another_account_shows_no_foreign_task(owner, other, ordering):
    for number in range(6):
        (owner, other)[number % 2].post(TASKS, heartbeat(name=f"{number % 2} {number}"))
    first = owner.get(TASKS, {"ordering": ordering, "page_size": 1}).json()
    second = owner.get(first["next"]).json()

    for link in (first["next"], second["next"], second["previous"]):
        assert {name[0] for name in names(other.get(link))} <= {"1"}


# --- Names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("principal", "refused"), [("owner", None), ("api", None), ("other", 409), ("seer", 409)]
)
def test_put_by_name_replaces_the_callers_task(request, task, principal, refused):
    client = request.getfixturevalue(principal)

    response = client.put(f"{TASKS}by-name/Heartbeat/", without(heartbeat(**MINE), "name"))

    if refused:
        assert refusal(response) == (409, "name_taken")
        assert is_unchanged(task)
        assert str(task.pk) not in response.json()["detail"]
    else:
        assert (response.status_code, response.json()["owner"]) == (200, "owner")


def test_put_by_name_without_a_key_is_refused(task):
    response = ContractClient().put(f"{TASKS}by-name/Heartbeat/", heartbeat(**MINE))

    assert refusal(response) == (401, "not_authenticated")
    assert is_unchanged(task)


@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_name_taken_by_another_account_discloses_nothing(owner, other, method):
    task = stored(pk=424242, name="Taken", description="Secret")
    ManagedTask.objects.create(periodic_task=task, owner=account_of("owner"))
    own = other.post(TASKS, heartbeat(name="Own")).json()
    at = TASKS if method == "post" else f"{TASKS}{own['id']}/"

    response = getattr(other, method)(at, heartbeat(name="Taken"))

    assert refusal(response) == (409, "name_taken")
    assert response.json()["detail"] == "The name 'Taken' is taken."
    assert b"424242" not in response.content
    assert b"Secret" not in response.content
    assert b"owner" not in response.content


# --- Batches --------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["update", "delete", "pause", "resume"])
@pytest.mark.parametrize(
    ("principal", "status"), [("owner", 200), ("api", 200), ("other", 404), ("seer", 404)]
)
def test_batch_does_not_find_foreign_tasks(request, task, op, principal, status):
    client = request.getfixturevalue(principal)
    operation = {"op": op, "id": task.pk} | ({"body": MINE} if op == "update" else {})

    together = client.post(f"{TASKS}batch/?dry_run=true", {"operations": [operation]})
    alone = client.post(f"{TASKS}batch/?atomic=false", {"operations": [operation]})

    assert (together.status_code, alone.status_code) == (status, 200)
    assert alone.json()["results"][0]["status"] in ({404} if status == 404 else {200, 204})
    assert status == 200 or is_unchanged(task)
    assert status == 200 or b"Heartbeat" not in alone.content


def test_batch_creates_tasks_of_the_caller(owner, other):
    operation = {"op": "create", "body": heartbeat(owner="other")}

    response = owner.post(f"{TASKS}batch/", {"operations": [operation]})

    assert response.json()["results"][0]["body"]["owner"] == "owner"
    assert names(other.get(TASKS)) == []


def test_batch_without_a_key_is_refused(task):
    operation = {"op": "delete", "id": task.pk}

    response = ContractClient().post(f"{TASKS}batch/", {"operations": [operation]})

    assert refusal(response) == (401, "not_authenticated")
    assert is_unchanged(task)


# --- Shared schedules -------------------------------------------------------------------------


@pytest.fixture
def shared(owner, other) -> dict[str, Any]:
    """A schedule used by a periodic task of each of three accounts."""
    for name, client in (("owners", owner), ("others", other)):
        client.post(TASKS, heartbeat(name=name))
    return stored(name="nobodys").interval


@pytest.mark.parametrize(
    ("principal", "users"),
    [
        ("owner", ["owners"]),
        ("other", ["others"]),
        ("seer", ["nobodys"]),
        ("api", ["nobodys", "others", "owners"]),
    ],
)
def test_schedule_lists_only_the_callers_tasks(request, shared, principal, users):
    client = request.getfixturevalue(principal)

    one = client.get(f"{INTERVALS}{shared.pk}/").json()
    (listed,) = client.get(INTERVALS).json()["results"]
    refused = client.delete(f"{INTERVALS}{shared.pk}/")

    assert (one["used_by"], one["used_by_count"]) == (users, len(users))
    assert listed == one
    assert refusal(refused) == (409, "schedule_in_use")
    assert refused.json()["used_by"] == users
    for hidden in {"owners", "others", "nobodys"} - {*users}:
        assert hidden.encode() not in refused.content


def test_schedule_of_foreign_tasks_is_not_deleted_and_names_none(other, task):
    response = other.delete(f"{INTERVALS}{task.interval_id}/")

    assert refusal(response) == (409, "schedule_in_use")
    assert response.json()["used_by"] == []
    assert "other accounts" in response.json()["detail"]
    assert b"Heartbeat" not in response.content
    assert IntervalSchedule.objects.exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["put", "patch"])
def test_schedule_of_a_foreign_task_is_not_changed(owner, other, kind, method):
    path, body, changed = KINDS[kind]
    pk = other.post(path, body).json()["id"]
    owner.post(TASKS, without(heartbeat(**{kind: pk}), "schedule"))
    before = other.get(f"{path}{pk}/").json()

    response = getattr(other, method)(f"{path}{pk}/", changed)

    assert refusal(response) == (409, "schedule_of_others")
    assert b"Heartbeat" not in response.content
    assert other.get(f"{path}{pk}/").json() == before


@pytest.mark.parametrize("principal", ["owner", "seer", "api"])
def test_schedule_of_own_tasks_is_changed(request, principal):
    client = request.getfixturevalue(principal)
    if principal == "owner":
        client.post(TASKS, heartbeat())
    else:
        stored()

    response = client.patch(f"{INTERVALS}{IntervalSchedule.objects.get().pk}/", {"every": 45})

    assert response.status_code == 200


@pytest.mark.parametrize("principal", ["owner", "other", "seer"])
def test_shared_schedule_is_changed_by_admin_only(request, api, shared, principal):
    client = request.getfixturevalue(principal)

    response = client.patch(f"{INTERVALS}{shared.pk}/", {"every": 45})

    assert refusal(response) == (409, "schedule_of_others")
    assert api.patch(f"{INTERVALS}{shared.pk}/", {"every": 45}).status_code == 200


def test_schedule_of_an_unowned_task_is_not_changed_without_sees_unowned(owner):
    task = stored()

    response = owner.patch(f"{INTERVALS}{task.interval_id}/", {"every": 45})

    assert refusal(response) == (409, "schedule_of_others")


def test_task_leaves_a_shared_schedule_unchanged(owner, other, task):
    own = other.post(TASKS, heartbeat(name="Own")).json()
    every_45 = {**EVERY_30_SECONDS, "every": 45}
    assert own["interval"] == task.interval_id

    response = other.patch(f"{TASKS}{own['id']}/", {"schedule": every_45})

    assert response.json()["interval"] != task.interval_id
    assert owner.get(address(task)).json()["schedule"]["every"] == 30


# --- Allowed tasks and queues ---------------------------------------------------------------


@pytest.fixture
def limited(db: None, settings: Any) -> ContractClient:
    settings.QUEUES = ["celery", "fast", "slow"]
    return service("limited", task_patterns=["project.tasks.heart*"], queues=["fast"])


def send(client: ContractClient, method: str, body: dict[str, Any]) -> Any:
    """Create a periodic task with these fields, or change a valid one to them."""
    whole = heartbeat(queue="fast")
    if method == "post":
        return client.post(TASKS, {**whole, **body})
    created = client.post(TASKS, whole).json()
    sent = {**whole, **body} if method == "put" else body
    return getattr(client, method)(f"{TASKS}{created['id']}/", sent)


@pytest.mark.parametrize("method", ["post", "put", "patch"])
@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, []),
        ({"task": "project.tasks.add", "args": [1, 2]}, ["/task"]),
        ({"task": "project.tasks.Heartbeat"}, ["/task", "/task"]),
        ({"queue": "slow"}, ["/queue"]),
        ({"queue": None}, ["/queue"]),
        ({"queue": "slow", "task": "project.tasks.add", "args": [1, 2]}, ["/queue", "/task"]),
        ({"routing_key": "slow"}, ["/routing_key"]),
        ({"exchange": "amq.topic"}, ["/exchange"]),
    ],
)
def test_account_may_use_its_tasks_and_queues(limited, settings, method, body, pointers):
    settings.ALLOW_CUSTOM_ROUTING = True

    response = send(limited, method, body)

    if not pointers:
        assert response.status_code in {200, 201}
        return
    assert refusal(response) == (400, "validation_failed")
    assert sorted(pointer for pointer, _ in mistakes(response)) == pointers
    assert {code for _, code in mistakes(response)} <= {"not_allowed", "unregistered_task"}


def test_refusal_lists_the_allowed_tasks_and_queues(limited):
    errors = send(limited, "post", {"queue": "slow", "task": "project.tasks.fail"}).json()[
        "errors"
    ]

    assert [error["detail"] for error in errors] == [
        "This account may only use tasks named project.tasks.heart*.",
        "This account may only use the queues fast.",
    ]


@pytest.mark.parametrize(
    ("patterns", "may"),
    [
        ([], True),
        (["*"], True),
        (["project.*"], True),
        (["project.tasks.heartbeat"], True),
        (["billing.*", "*.heartbeat"], True),
        (["project.tasks.heart"], False),
        (["PROJECT.*"], False),
        (["heartbeat"], False),
    ],
)
def test_task_pattern_matches(db, patterns, may):
    response = service("limited", task_patterns=patterns).post(TASKS, heartbeat())

    assert response.status_code == (201 if may else 400)


def test_task_patterns_limit_an_admin(db):
    client = service("limited", task_patterns=["billing.*"])
    account = account_of("limited")
    account.scopes = ["admin"]
    account.save()

    assert mistakes(client.post(TASKS, heartbeat())) == [("/task", "not_allowed")]


@pytest.fixture
def out_of_bounds(owner: ContractClient) -> str:
    """The URL of a disabled task outside the patterns of its owner."""
    created = owner.post(TASKS, heartbeat(enabled=False)).json()
    account = account_of("owner")
    account.task_patterns = ["billing.*"]
    account.save()
    return f"{TASKS}{created['id']}/"


@pytest.mark.parametrize(
    "body",
    [
        {"headers": {"x-a": "1"}},
        {"enabled": True},
        {"queue": "celery"},
        {"schedule": {**EVERY_30_SECONDS, "every": 45}, "enabled": True},
    ],
)
def test_task_outside_the_patterns_cannot_be_run(owner, out_of_bounds, body):
    assert mistakes(owner.patch(out_of_bounds, body)) == [("/task", "not_allowed")]


@pytest.mark.parametrize("body", [{"description": "Old"}, {"enabled": False}, {"name": "Old"}, {}])
def test_task_outside_the_patterns_may_be_stopped_and_described(owner, out_of_bounds, body):
    PeriodicTask.objects.update(enabled=True)

    assert owner.patch(out_of_bounds, body).status_code == 200
    assert owner.delete(out_of_bounds).status_code == 204


def test_sees_unowned_does_not_widen_the_task_patterns(db):
    client = service("seer", sees_unowned=True, task_patterns=["billing.*"])
    task = stored()

    assert client.get(address(task)).status_code == 200
    assert mistakes(client.patch(address(task), {"headers": {"x-a": "1"}})) == [
        ("/task", "not_allowed")
    ]


def test_change_of_an_unowned_task_keeps_it_unowned(seer):
    task = stored()

    assert seer.patch(address(task), MINE).json()["owner"] is None


def test_all_scopes_but_admin_do_not_make_an_admin(db):
    assert "admin" not in EVERYTHING_BUT_ADMIN
    assert service("nearly").get("/api/v1/service-accounts/").status_code == 403
