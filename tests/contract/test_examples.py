"""What openapi.yaml shows as an example is what the API answers."""

import re
from typing import Any

import pytest
from django.conf import settings
from django_celery_beat.models import PeriodicTask

from scheduler_api.access.models import ServiceAccount
from scheduler_api.catalogue.registry import get_task
from scheduler_api.outbound import address_guard
from scheduler_api.runs import actions
from scheduler_api.runs.models import Run
from scheduler_api.webhooks import actions as webhook_actions
from scheduler_api.worker.registration import Announcement, announce
from tests.api.periodic_tasks.examples import update_row
from tests.api.runs.examples import entered
from tests.client import ContractClient
from tests.conftest import caller
from tests.contract.document import OPERATIONS, Operation, examples_of, operation, resolved
from tests.webhooks.examples import webhook_of

JSON = "application/json"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
REFERENCES = {
    *("id", "interval", "crontab", "solar", "clocked"),
    *("service_account", "periodic_task"),
}
# What is different each time that one asks.
CHANGING = {
    *("next_run_at", "date_changed", "created_at", "due_at", "slot_at"),
    *("started_at", "last_seen_at"),
}
CHANCE = {
    "id": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "prefix": r"[0-9a-f]{8}",
    "secret": r"whsec_[A-Za-z0-9+/]{43}=",
    "key": r"sk_[0-9a-f]{8}_[\w-]{43}",
    "etag": r'"[0-9a-f]{32}"',
}
[VALID] = examples_of(
    operation("createPeriodicTask").described["requestBody"]["content"][JSON]
).values()
TASKS = "/api/v1/periodic-tasks/"
ACCOUNTS = "/api/v1/service-accounts/"
KEYS = "/api/v1/api-keys/"


@pytest.fixture
def api(db: None) -> ContractClient:
    """Call the API as the account whose name the examples show."""
    return caller("crm", scopes=["admin"])


@pytest.fixture(autouse=True)
def _nobody_is_asked_for_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: ["8.8.8.8"])


def sent(operation: Operation) -> list[Any]:
    body = operation.described.get("requestBody")
    return list(examples_of(body["content"][JSON]).values()) if body else []


def of_an_account_that_is_there(api: ContractClient, body: dict[str, Any]) -> dict[str, Any]:
    if "service_account" not in body:
        return body
    return {**body, "service_account": api.get(ACCOUNTS).json()["results"][0]["id"]}


def path_of(api: ContractClient, operation: Operation) -> str:
    if "{" not in operation.path:
        return operation.path
    return operation.path.format(**api.post(TASKS, VALID).json())


def answered(operation: Operation, status: str) -> list[Any]:
    response = resolved(operation.described["responses"][status])
    return list(examples_of(response["content"][JSON]).values())


def without_chance(value: Any) -> Any:
    """Replace ids and the moments at which the test happens to run."""
    if isinstance(value, list):
        return [without_chance(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: 1
        if name in REFERENCES and isinstance(item, int)
        else "now"
        if name in CHANGING and INSTANT.fullmatch(str(item))
        else "random"
        if name in CHANCE and re.fullmatch(CHANCE[name], item)
        else without_chance(item)
        for name, item in value.items()
    }


def with_bodies(*methods: str) -> list[Any]:
    return [
        pytest.param(operation, number, id=f"{operation.id}-{number}")
        for operation in OPERATIONS
        if operation.method in methods
        for number in range(len(sent(operation)))
    ]


@pytest.mark.parametrize(("operation", "number"), with_bodies("post"))
def test_post_is_answered_as_shown(api: ContractClient, operation: Operation, number: int):
    status = next(iter(operation.described["responses"]))

    path = path_of(api, operation)

    response = api.post(path, of_an_account_that_is_there(api, sent(operation)[number]))

    assert response.status_code == int(status), response.json()
    example = without_chance(answered(operation, status)[number])
    assert without_chance(response.json()) == example
    assert list(response.json()) == list(example), "the example has another order"


@pytest.mark.parametrize(("changing", "number"), with_bodies("put", "patch"))
def test_change_is_answered_as_shown(api: ContractClient, changing: Operation, number: int):
    collection = changing.path.removesuffix("by-name/{name}/").removesuffix("{id}/")
    creating = next(op for op in OPERATIONS if (op.method, op.path) == ("post", collection))
    shown = answered(changing, "200")
    whole = sent(creating)[number]
    made = api.post(collection, whole).json()
    address = changing.path.format(**made)

    response = getattr(api, changing.method)(address, sent(changing)[number])

    assert response.status_code == 200, response.json()
    assert without_chance(response.json()) == without_chance(shown[number])


def a_worker_with(name: str) -> None:
    task = get_task(name)
    assert task
    announce(
        Announcement(
            name="celery@worker-1",
            queues=lambda: ["celery"],
            version=settings.APP_VERSION,
            pid=4711,
            concurrency=2,
            tasks=lambda: [task],
        )
    )


def test_task_is_answered_as_shown(api: ContractClient):
    [example] = answered(operation("getTask"), "200")
    a_worker_with("project.tasks.add")

    task = api.get("/api/v1/tasks/project.tasks.add/").json()

    assert without_chance(task) == without_chance(example)


def test_worker_is_answered_as_shown(api: ContractClient):
    [example] = answered(operation("listWorkers"), "200")[0]["results"]
    a_worker_with("project.tasks.add")

    [worker] = api.get("/api/v1/workers/").json()["results"]

    assert without_chance(worker) == without_chance(example)


@pytest.mark.parametrize(("creating", "number"), with_bodies("post"))
def test_field_too_many_is_refused(api: ContractClient, creating: Operation, number: int):
    body = of_an_account_that_is_there(api, sent(creating)[number])

    response = api.post(path_of(api, creating), {**body, "colour": "red"})

    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["/colour"]


def problems_shown() -> dict[str, Any]:
    return {
        code: example
        for operation in OPERATIONS
        for status, _, response in operation.responses()
        if status >= "4"
        for content in response["content"].values()
        for code, example in examples_of(content).items()
    }


def take_a_name_twice(api: ContractClient) -> Any:
    api.post(TASKS, VALID)
    return api.post(TASKS, VALID)


def delete_a_schedule_in_use(api: ContractClient) -> Any:
    task = api.post(TASKS, VALID).json()
    return api.delete(f"/api/v1/interval-schedules/{task['interval']}/")


def create_a_sunset_twice(api: ContractClient) -> Any:
    creating = operation("createSolarSchedule")
    api.post(creating.path, sent(creating)[0])
    return api.post(creating.path, sent(creating)[0])


def make_an_account_twice(api: ContractClient) -> Any:
    api.post(ACCOUNTS, {"name": "billing", "scopes": []})
    return api.post(ACCOUNTS, {"name": "billing", "scopes": []})


def delete_an_account_in_use(api: ContractClient) -> Any:
    api.post(TASKS, VALID)
    account = api.get(ACCOUNTS).json()["results"][0]
    return api.delete(f"{ACCOUNTS}{account['id']}/")


def make_a_third_key(api: ContractClient) -> Any:
    body = of_an_account_that_is_there(api, {"service_account": 0})
    api.post(KEYS, body)
    return api.post(KEYS, body)


def change_a_schedule_of_others(api: ContractClient) -> Any:
    task = api.post(TASKS, VALID).json()
    other = caller("other", scopes=["schedules:write"])
    return other.patch(f"/api/v1/interval-schedules/{task['interval']}/", {"every": 5})


def change_what_was_not_seen(api: ContractClient) -> Any:
    task = api.post(TASKS, VALID).json()
    return api.patch(f"{TASKS}{task['id']}/", {"enabled": False}, HTTP_IF_MATCH='"another"')


def send_a_key_with_a_space(api: ContractClient) -> Any:
    return api.post(TASKS, VALID, headers={"Idempotency-Key": "a b"})


def send_a_key_with_two_bodies(api: ContractClient) -> Any:
    api.post(TASKS, VALID, headers={"Idempotency-Key": "a"})
    return api.post(TASKS, {**VALID, "enabled": False}, headers={"Idempotency-Key": "a"})


def ask_for_a_secret_twice(api: ContractClient) -> Any:
    account = api.post(ACCOUNTS, {"name": "newcomer", "scopes": []}).json()
    body = {"service_account": account["id"], "expires_at": None}
    api.post(KEYS, body, headers={"Idempotency-Key": "a"})
    return api.post(KEYS, body, headers={"Idempotency-Key": "a"})


def ask_once_too_often(_: ContractClient) -> Any:
    hasty = caller("reports", scopes=["periodic-tasks:read"], requests_per_minute=1)
    # Of three, two are in the same minute.
    return next(
        answer for answer in (hasty.get(TASKS) for _ in range(3)) if answer.status_code == 429
    )


def own_one_too_many(_: ContractClient) -> Any:
    limited = caller("reports", scopes=["periodic-tasks:write"], max_periodic_tasks=1)
    limited.post(TASKS, VALID)
    return limited.post(TASKS, {**VALID, "name": "Another"})


def take_admin_from_the_last(api: ContractClient) -> Any:
    (account,) = api.get(ACCOUNTS).json()["results"]
    return api.patch(f"{ACCOUNTS}{account['id']}/", {"scopes": ["runs:read"]})


def cancel_what_has_ended(api: ContractClient) -> Any:
    the_run(state="succeeded")
    return api.post(f"{THE_RUN_IS}cancel/")


def have_again_what_runs(api: ContractClient) -> Any:
    the_run(state="running")
    return api.post(f"{THE_RUN_IS}retry/")


def the_run(**columns: Any) -> Run:
    return entered(pk=THE_RUN_IS.split("/")[-2], **columns)


def make_a_webhook(api: ContractClient) -> Any:
    creating = operation("createWebhook")
    [example] = sent(creating)
    return api.post(creating.path, example)


def own_a_webhook_too_many(_: ContractClient) -> Any:
    busy = caller("reports", scopes=["webhooks:write"])
    return [make_a_webhook(busy) for _ in range(webhook_actions.MAX_WEBHOOKS + 1)][-1]


def ping_what_is_disabled(api: ContractClient) -> Any:
    webhook = make_a_webhook(api).json()
    address = f"/api/v1/webhooks/{webhook['id']}/"
    api.patch(address, {"enabled": False})
    return api.post(f"{address}ping/")


def ping_too_often(api: ContractClient) -> Any:
    webhook = make_a_webhook(api).json()
    answers = [api.post(f"/api/v1/webhooks/{webhook['id']}/ping/") for _ in range(11)]
    return answers[-1]


def ping_for_an_account_without_a_key(api: ContractClient) -> Any:
    owner = ServiceAccount.objects.create(name="silent", scopes=["webhooks:write"])
    webhook, _ = webhook_of(owner)
    return api.post(f"/api/v1/webhooks/{webhook.pk}/ping/")


def run_what_no_queue_takes(api: ContractClient) -> Any:
    task = api.post(TASKS, VALID).json()
    update_row(PeriodicTask(pk=task["id"]), queue="reports")
    return api.post(f"{TASKS}{task['id']}/runs/")


THE_RUN_IS = actions.HasEnded.example["instance"].removesuffix("cancel/")
NEVER = {**VALID["schedule"], "every": 0}
PROVOKED_BY = {
    "account_in_use": delete_an_account_in_use,
    "account_name_taken": make_an_account_twice,
    "answer_not_kept": ask_for_a_secret_twice,
    "cannot_retry": have_again_what_runs,
    "body_too_large": lambda api: api.post(TASKS, {"name": "x" * 300_000}),
    "forbidden": lambda _: caller("reports", scopes=["runs:read"]).post(TASKS, VALID),
    "has_ended": cancel_what_has_ended,
    "idempotency_key_reused": send_a_key_with_two_bodies,
    "invalid_idempotency_key": send_a_key_with_a_space,
    "invalid_query": lambda api: api.get(TASKS, {"page_size": "0"}),
    "last_admin": take_admin_from_the_last,
    "length_required": lambda api: api.post(TASKS, headers={"Transfer-Encoding": "chunked"}),
    "malformed_body": lambda api: api.post(TASKS, '{"name": }', content_type=JSON),
    "name_taken": take_a_name_twice,
    "not_acceptable": lambda api: api.get(TASKS, headers={"Accept": "text/html"}),
    "not_authenticated": lambda _: ContractClient().get(TASKS),
    "not_sendable": run_what_no_queue_takes,
    "not_found": lambda api: api.get(f"{TASKS}7/"),
    "revision_mismatch": change_what_was_not_seen,
    "schedule_exists": create_a_sunset_twice,
    "schedule_in_use": delete_a_schedule_in_use,
    "schedule_of_others": change_a_schedule_of_others,
    "too_many_keys": make_a_third_key,
    "too_many_periodic_tasks": own_one_too_many,
    "too_many_requests": ask_once_too_often,
    "too_many_webhooks": own_a_webhook_too_many,
    "unsupported_media_type": lambda api: api.post(TASKS, "name", content_type="text/plain"),
    "validation_failed": lambda api: api.post(TASKS, {**VALID, "schedule": NEVER}),
    "too_many_waiting": ping_too_often,
    "webhook_disabled": ping_what_is_disabled,
    "webhook_suspended": ping_for_an_account_without_a_key,
}


@pytest.mark.parametrize("code", PROVOKED_BY)
def test_problem_is_answered_as_shown(api: ContractClient, code: str):
    example = problems_shown()[code]

    answer = PROVOKED_BY[code](api).json()

    answer["request_id"] = example["request_id"]
    assert numberless(answer) == numberless(example)


def test_the_other_problems_shown_need_more_than_a_request():
    others = problems_shown().keys() - PROVOKED_BY.keys()

    by_chance = {
        *("bad_request", "conflict", "request_in_flight"),
        *("server_error", "unavailable", "database_busy"),
    }
    by_setting = {"precondition_required"}
    assert others == by_chance | by_setting


def numberless(value: Any) -> Any:
    """Replace ids in what people read."""
    return re.sub(r"(?<=/)\d+(?=/)|(?<=id )\d+|(?<=task )\d+", "1", str(value))
