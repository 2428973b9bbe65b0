"""Service accounts: created, changed and deleted by `admin`."""

import pytest

from scheduler_api.access.models import ApiKey, ServiceAccount
from scheduler_api.access.scopes import Scope
from tests.api.access.callers import ACCOUNTS, EVERYTHING_BUT_ADMIN, account_of
from tests.api.http.responses import mistakes, refusal
from tests.api.periodic_tasks.examples import TASKS, heartbeat
from tests.conftest import caller

BILLING = {"name": "billing", "scopes": ["periodic-tasks:read"]}


def at(pk: int) -> str:
    return f"{ACCOUNTS}{pk}/"


def test_account_is_created_with_defaults(api):
    response = api.post(ACCOUNTS, BILLING)

    account = account_of("billing")
    assert response.status_code == 201
    assert response.headers["Location"] == f"http://testserver{at(account.pk)}"
    created_at = response.json()["created_at"]
    assert response.json() == {
        **BILLING,
        "id": account.pk,
        "task_patterns": [],
        "queues": [],
        "sees_unowned": False,
        "requests_per_minute": None,
        "max_periodic_tasks": None,
        "min_interval_seconds": None,
        "created_at": created_at,
    }
    assert api.get(at(account.pk)).json() == response.json()
    assert not account.api_keys.exists()


@pytest.mark.both_databases
def test_account_lists_are_stored_sorted_without_duplicates(api, settings):
    settings.QUEUES = ["celery", "fast"]

    body = api.post(
        ACCOUNTS,
        {
            "name": "ops@example.org",
            "scopes": ["tasks:read", "runs:read", "tasks:read"],
            "task_patterns": ["reports.*", "billing.*"],
            "queues": ["fast", "celery"],
            "sees_unowned": True,
            "requests_per_minute": 600,
            "max_periodic_tasks": 0,
            "min_interval_seconds": 60,
        },
    ).json()

    assert body["scopes"] == ["runs:read", "tasks:read"]
    assert body["task_patterns"] == ["billing.*", "reports.*"]
    assert body["queues"] == ["celery", "fast"]
    assert body["sees_unowned"] is True
    assert body["requests_per_minute"] == 600
    assert body["max_periodic_tasks"] == 0
    assert body["min_interval_seconds"] == 60


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({"name": ""}, ("/name", "blank")),
        ({"name": " billing "}, None),
        ({"name": "two words"}, ("/name", "invalid_name")),
        ({"name": "-v"}, ("/name", "invalid_name")),
        ({"name": "a\nb"}, ("/name", "invalid_name")),
        ({"name": "a/b"}, ("/name", "invalid_name")),
        ({"name": "émile"}, ("/name", "invalid_name")),
        ({"name": "x" * 101}, ("/name", "invalid_name")),
        ({"name": 7}, ("/name", "invalid")),
        ({"name": None}, ("/name", "null")),
        ({"scopes": "admin"}, ("/scopes", "not_a_list")),
        ({"scopes": ["everything"]}, ("/scopes/0", "invalid_choice")),
        ({"scopes": ["tasks:read", None]}, ("/scopes/1", "null")),
        ({"scopes": ["Admin"]}, ("/scopes/0", "invalid_choice")),
        ({"task_patterns": [str(n) for n in range(101)]}, ("/task_patterns", "max_length")),
        ({"task_patterns": [""]}, ("/task_patterns/0", "blank")),
        ({"task_patterns": ["a.*", "  "]}, ("/task_patterns/1", "blank")),
        ({"task_patterns": ["x" * 201]}, ("/task_patterns/0", "max_length")),
        ({"task_patterns": [7]}, ("/task_patterns/0", "invalid")),
        ({"task_patterns": None}, ("/task_patterns", "null")),
        ({"queues": [""]}, ("/queues/0", "blank")),
        ({"queues": ["celery", "nowhere"]}, ("/queues/1", "unknown_queue")),
        ({"sees_unowned": "yes"}, ("/sees_unowned", "invalid")),
        ({"requests_per_minute": 1}, None),
        ({"requests_per_minute": 0}, ("/requests_per_minute", "min_value")),
        ({"requests_per_minute": 2**31}, ("/requests_per_minute", "max_value")),
        ({"requests_per_minute": "60"}, ("/requests_per_minute", "invalid")),
        ({"max_periodic_tasks": 0}, None),
        ({"max_periodic_tasks": -1}, ("/max_periodic_tasks", "min_value")),
        ({"max_periodic_tasks": 2**31}, ("/max_periodic_tasks", "max_value")),
        ({"max_periodic_tasks": 1.5}, ("/max_periodic_tasks", "invalid")),
        ({"min_interval_seconds": None}, None),
        ({"min_interval_seconds": 0}, ("/min_interval_seconds", "min_value")),
        ({"min_interval_seconds": 2**31}, ("/min_interval_seconds", "max_value")),
        ({"min_interval_seconds": True}, ("/min_interval_seconds", "invalid")),
        ({"colour": "red"}, ("/colour", "unknown_field")),
    ],
)
def test_invalid_account_values_are_refused(api, fields, mistake):
    response = api.post(ACCOUNTS, {**BILLING, **fields})

    if mistake is None:
        assert response.status_code == 201
        return
    assert refusal(response) == (400, "validation_failed")
    assert mistake in mistakes(response)
    assert ServiceAccount.objects.count() == 1


def test_account_requires_name_and_scopes(api):
    assert mistakes(api.post(ACCOUNTS, {})) == [("/name", "required"), ("/scopes", "required")]


@pytest.mark.both_databases
@pytest.mark.parametrize("method", ["put", "patch"])
def test_taken_account_name_is_refused(api, method):
    api.post(ACCOUNTS, BILLING)
    other = api.post(ACCOUNTS, {**BILLING, "name": "other"}).json()

    for response in (
        api.post(ACCOUNTS, BILLING),
        getattr(api, method)(at(other["id"]), BILLING),
    ):
        assert refusal(response) == (409, "account_name_taken")
        assert "'billing'" in response.json()["detail"]


def test_put_replaces_and_patch_changes(api):
    first = {**BILLING, "task_patterns": ["billing.*"], "max_periodic_tasks": 9}
    pk = api.post(ACCOUNTS, first).json()["id"]

    patched = api.patch(at(pk), {"sees_unowned": True}).json()
    replaced = api.put(at(pk), BILLING).json()

    assert patched["task_patterns"] == ["billing.*"]
    assert (patched["max_periodic_tasks"], replaced["max_periodic_tasks"]) == (9, None)
    assert patched["sees_unowned"] is True
    assert replaced["task_patterns"] == []
    assert replaced["sees_unowned"] is False


def test_account_response_can_be_sent_back(api):
    body = api.post(ACCOUNTS, BILLING).json()

    assert api.put(at(body["id"]), body).json() == body


def test_unconfigured_queue_of_the_account_may_stay(api):
    account = ServiceAccount.objects.create(name="old", queues=["gone"])

    kept = api.patch(at(account.pk), {"queues": ["gone", "celery"]})
    new = api.patch(at(account.pk), {"queues": ["gone", "nowhere"]})

    assert kept.json()["queues"] == ["celery", "gone"]
    assert mistakes(new) == [("/queues/1", "unknown_queue")]


def test_changed_scopes_apply_from_the_next_request(api):
    client = caller("reports", scopes=["tasks:read"])
    pk = account_of("reports").pk
    assert client.get(TASKS).status_code == 403

    api.patch(at(pk), {"scopes": ["periodic-tasks:read"]})

    assert client.get(TASKS).status_code == 200
    assert client.get("/api/v1/tasks/").status_code == 403


def test_accounts_are_ordered_and_paged(api):
    for name in ("c", "a", "b"):
        api.post(ACCOUNTS, {**BILLING, "name": name})

    page = api.get(ACCOUNTS, {"ordering": "name", "page_size": 3}).json()

    assert [account["name"] for account in page["results"]] == ["a", "b", "c"]
    assert [account["name"] for account in api.get(page["next"]).json()["results"]] == ["tests"]


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_unknown_account_is_not_found(api, method):
    assert refusal(getattr(api, method)(at(999999))) == (404, "not_found")


@pytest.mark.both_databases
def test_deleting_an_account_deletes_its_keys(api):
    client = caller("reports", scopes=["tasks:read"])

    response = api.delete(at(account_of("reports").pk))

    assert response.status_code == 204
    assert client.get("/api/v1/").status_code == 401
    assert ApiKey.objects.count() == 1


@pytest.mark.both_databases
def test_account_with_periodic_tasks_is_not_deleted(api):
    client = caller("reports", scopes=EVERYTHING_BUT_ADMIN)
    task = client.post(TASKS, heartbeat()).json()
    address = at(account_of("reports").pk)

    refused = api.delete(address)
    still_works = client.get(TASKS)
    client.delete(f"{TASKS}{task['id']}/")

    assert refusal(refused) == (409, "account_in_use")
    assert still_works.status_code == 200
    assert api.delete(address).status_code == 204


@pytest.mark.parametrize("scope", [scope for scope in Scope.values if scope != "admin"])
def test_account_creation_requires_admin(db, scope):
    client = caller("clever", scopes=[scope])

    assert client.post(ACCOUNTS, {"name": "x", "scopes": ["admin"]}).status_code == 403
    assert client.patch(at(account_of("clever").pk), {"scopes": ["admin"]}).status_code == 403
    assert account_of("clever").scopes == [scope]


# --- Lockout --------------------------------------------------------------------------------


def lock_out(api, way):
    account = account_of("tests")
    match way:
        case "put":
            return api.put(at(account.pk), {"name": "tests", "scopes": ["tasks:read"]})
        case "patch":
            return api.patch(at(account.pk), {"scopes": []})
        case "delete":
            return api.delete(at(account.pk))
        case "revoke":
            return api.post(f"/api/v1/api-keys/{account.api_keys.get().pk}/revoke/")


WAYS = ["put", "patch", "delete", "revoke"]


@pytest.mark.both_databases
@pytest.mark.parametrize("way", WAYS)
def test_last_admin_cannot_be_removed(api, way):
    ServiceAccount.objects.create(name="without-a-key", scopes=["admin"])
    caller("without-the-scope", scopes=EVERYTHING_BUT_ADMIN)

    response = lock_out(api, way)

    assert refusal(response) == (409, "last_admin")
    assert api.get(ACCOUNTS).status_code == 200


@pytest.mark.parametrize("way", WAYS)
def test_second_to_last_admin_can_be_removed(api, way):
    other = caller("second", scopes=["admin"])

    response = lock_out(api, way)

    assert response.status_code in {200, 204}
    assert api.get(ACCOUNTS).status_code in {401, 403}
    assert other.get(ACCOUNTS).status_code == 200
