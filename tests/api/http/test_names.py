"""Names have one spelling, in bodies and URLs alike, and nothing invisible: on each operation."""

import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django_celery_beat.models import PeriodicTask
from rest_framework.response import Response

from scheduler_api.http.names import normalized
from scheduler_api.webhooks.models import Webhook
from tests.api.access.callers import ACCOUNTS, account_of
from tests.api.http.responses import mistakes, refusal
from tests.api.periodic_tasks.examples import (
    TASKS,
    address,
    heartbeat,
    names,
    stored,
    without,
)
from tests.api.runs.examples import RUNS
from tests.client import ContractClient
from tests.contract.document import OPERATIONS, Operation, fields_of, resolved
from tests.webhooks.examples import URL, WEBHOOKS, webhook_of

BY_NAME = f"{TASKS}by-name/"
MANIFEST = "/api/v1/manifest/?mode=apply"
NFD = unicodedata.normalize("NFD", "Zürich é")

# Each spelling, and the name that it stands for.
SPELLINGS = {
    " padded ": "padded",
    "\tpadded\u00a0\u2003": "padded",
    NFD: "Zürich é",
    f" {NFD}\n": "Zürich é",
    "A\u030angström": "Ångström",
    "\u212bngström": "Ångström",
    "\u0645\u06cc\u200c\u062e\u0648": "\u0645\u06cc\u200c\u062e\u0648",  # Persian
    "👩\u200d🔬": "👩\u200d🔬",
    "a  b": "a  b",
}
INVISIBLE = {
    "control": "a\x07b",
    "newline": "a\nb",
    "return": "a\rb",
    "tab": "a\tb",
    "escape": "a\x1b[31mb",
    "C1": "a\x85b",
    "line separator": "a\u2028b",
    "override": "a\u202eb",
    "isolate": "a\u2066b",
    "mark": "a\u200fb",
    "zero-width blank": "a\u200bb",
    "byte order mark": "\ufeffab",
    "soft hyphen": "a\u00adb",
}
DOTS = [".", "..", "a/../b", "../a", "a/.", "./a"]


def at(name: str) -> str:
    """Return the URL of a periodic task by its name."""
    return f"{BY_NAME}{quote(name, safe='')}/"


def of_webhook() -> str:
    """Store a webhook, and return its URL."""
    return f"{WEBHOOKS}{webhook_of(account_of('tests'))[0].pk}/"


def by_name_before(client: ContractClient, name: str) -> Response:
    stored(name="before")
    return client.patch(at("before"), {"name": name})


def in_batch(client: ContractClient, name: str) -> Response:
    operation = {"op": "create", "body": heartbeat(name=name)}
    return client.post(f"{TASKS}batch/", {"operations": [operation]})


# By operation id: a request that stores a name.
SENDS: dict[str, Callable[[ContractClient, str], Response]] = {
    "createPeriodicTask": lambda client, name: client.post(TASKS, heartbeat(name=name)),
    "replacePeriodicTask": lambda client, name: client.put(
        address(stored(name="before")), heartbeat(name=name)
    ),
    "updatePeriodicTask": lambda client, name: client.patch(
        address(stored(name="before")), {"name": name}
    ),
    "putPeriodicTaskByName": lambda client, name: client.put(
        at(name), without(heartbeat(), "name")
    ),
    "updatePeriodicTaskByName": by_name_before,
    "batchPeriodicTask": in_batch,
    "applyManifest": lambda client, name: client.post(
        MANIFEST, {"version": 1, "periodic_tasks": [heartbeat(name=name)]}
    ),
    "createWebhook": lambda client, name: client.post(
        f"{WEBHOOKS}?dry_run=true", {"name": name, "url": URL}
    ),
    "replaceWebhook": lambda client, name: client.put(of_webhook(), {"name": name, "url": URL}),
    "updateWebhook": lambda client, name: client.patch(of_webhook(), {"name": name}),
}


def send(client: ContractClient, operation: str, name: str) -> Response:
    """Send a request that stores a name."""
    return SENDS[operation](client, name)


OF_WEBHOOKS = [operation for operation in SENDS if operation.endswith("Webhook")]
OF_TASKS = [operation for operation in SENDS if operation not in OF_WEBHOOKS]
# These accept letters, digits and a few signs only: tests/api/access/test_service_accounts.py.
OF_ACCOUNTS = {"createServiceAccount", "replaceServiceAccount", "updateServiceAccount"}


def stores_a_name(operation: Operation) -> bool:
    """Return whether a body or a URL of a write has a name of the object."""
    content = operation.described.get("requestBody", {}).get("content", {})
    schema = resolved(content.get("application/json", {}).get("schema", {}))
    return operation.method in {"post", "put", "patch"} and (
        "name" in fields_of(schema) or "{name}" in operation.path
    )


def test_every_operation_with_a_name_is_listed():
    expected = {operation.id for operation in OPERATIONS if stores_a_name(operation)}

    # The names of a batch and of a manifest are within their entries.
    listed = {*SENDS, *OF_ACCOUNTS} - {"batchPeriodicTask", "applyManifest"}
    assert expected == listed


@pytest.mark.both_databases
@pytest.mark.parametrize(("spelling", "name"), SPELLINGS.items(), ids=map(repr, SPELLINGS))
@pytest.mark.parametrize("operation", OF_TASKS)
def test_name_is_stored_in_its_normal_form(
    api: ContractClient, operation: str, spelling: str, name: str
):
    answer = send(api, operation, spelling)

    assert answer.status_code in {200, 201}, answer.json()
    assert PeriodicTask.objects.get().name == name
    again = api.put(at(spelling), without(heartbeat(description="New"), "name"))
    assert (again.status_code, again.json()["name"]) == (200, name)
    assert api.get(at(spelling)).json()["name"] == name
    assert names(api.get(TASKS, {"name": spelling.strip()})) == [name]
    assert api.post(RUNS, {"periodic_task_name": spelling}).status_code == 202
    assert api.delete(at(spelling)).status_code == 204


@pytest.mark.parametrize(("spelling", "name"), SPELLINGS.items(), ids=map(repr, SPELLINGS))
@pytest.mark.parametrize("operation", OF_WEBHOOKS)
def test_name_of_a_webhook_is_stored_in_its_normal_form(
    api: ContractClient, operation: str, spelling: str, name: str
):
    assert send(api, operation, spelling).json()["name"] == name


@pytest.mark.parametrize("name", INVISIBLE.values(), ids=INVISIBLE)
@pytest.mark.parametrize("operation", SENDS)
def test_name_with_an_invisible_character_is_refused(
    api: ContractClient, operation: str, name: str
):
    refused = send(api, operation, name)

    assert refusal(refused) == (400, "validation_failed")
    [(pointer, code)] = mistakes(refused)
    assert pointer.endswith("/name")
    assert code == "invisible"
    assert not PeriodicTask.objects.exclude(name="before").exists()
    assert not Webhook.objects.exclude(name="Alerts").exists()


@pytest.mark.parametrize("name", DOTS)
@pytest.mark.parametrize("operation", OF_TASKS)
def test_name_that_a_url_cannot_carry_is_refused(api: ContractClient, operation: str, name: str):
    refused = send(api, operation, name)

    assert {code for _, code in mistakes(refused)} == {"dot_segment"}
    assert not PeriodicTask.objects.exclude(name="before").exists()


@pytest.mark.parametrize("operation", ["createPeriodicTask", "putPeriodicTaskByName"])
def test_blank_name_is_refused(api: ContractClient, operation: str):
    assert mistakes(send(api, operation, " \u2003")) == [("/name", "blank")]


def test_two_spellings_of_a_name_are_one_periodic_task(api: ContractClient):
    api.post(TASKS, heartbeat(name="Zürich é"))

    assert refusal(api.post(TASKS, heartbeat(name=NFD))) == (409, "name_taken")
    document = {"version": 1, "periodic_tasks": [heartbeat(name=f" {NFD} ")]}
    applied = api.post(MANIFEST, document).json()
    assert (applied["created"], PeriodicTask.objects.count()) == ([], 1)


@pytest.mark.parametrize("name", [" billing", "b\u202ei", "bi\u0308lling", "b\ni", ".", ".."])
def test_account_has_a_plain_name(api: ContractClient, name: str):
    answer = api.post(ACCOUNTS, {"name": name, "scopes": []})

    if name.strip() == "billing":
        assert answer.json()["name"] == "billing"
    else:
        assert mistakes(answer) == [("/name", "invalid_name")]


# --- Rows of other programs -------------------------------------------------------------------

ODD = [" padded ", NFD, "a\nb", "a\u202eb", "..", ".", "a/../b", "\t"]


@pytest.mark.both_databases
@pytest.mark.parametrize("name", ODD, ids=map(repr, ODD))
def test_row_with_an_odd_name_stays_readable_and_editable(api: ContractClient, name: str):
    task = stored(name=name)
    read = api.get(address(task)).json()
    assert read["name"] == name
    assert names(api.get(TASKS, {"name": name})) == [name]

    if name.strip():
        assert api.put(address(task), {**read, "description": "New"}).status_code == 200
    assert api.patch(address(task), {"description": "Newer"}).json()["name"] == name
    assert api.post(RUNS, {"periodic_task_name": name}).status_code == 202
    by_name = at(name)
    assert api.get(by_name).json()["id"] == task.pk
    assert api.patch(by_name, {"description": "Newest"}).status_code == 200
    assert api.patch(address(task), {"name": "plain"}).json()["name"] == "plain"


def test_row_with_the_name_as_it_was_sent_goes_before_its_normal_form(api: ContractClient):
    odd, plain = stored(name=" padded "), stored(name="padded")

    found = [api.get(at(name)).json()["id"] for name in (" padded ", "padded", "padded  ")]

    assert found == [odd.pk, plain.pk, plain.pk]


# --- Labels -----------------------------------------------------------------------------------


def test_value_of_a_label_is_normalized_and_found(api: ContractClient):
    made = api.post(TASKS, heartbeat(labels={"city": f" {NFD} "})).json()

    assert made["labels"] == {"city": "Zürich é"}
    for spelling in (NFD, "Zürich é", f" {NFD} "):
        assert names(api.get(TASKS, {"label": f"city={spelling}"})) == ["Heartbeat"]


@pytest.mark.parametrize("value", INVISIBLE.values(), ids=INVISIBLE)
def test_label_with_an_invisible_character_is_refused(api: ContractClient, value: str):
    refused = api.post(TASKS, heartbeat(labels={"city": value}))

    assert mistakes(refused) == [("/labels", "invisible")]


@pytest.mark.parametrize("name", INVISIBLE.values(), ids=INVISIBLE)
def test_task_with_an_invisible_character_is_refused(
    api: ContractClient, settings: Any, name: str
):
    settings.UNREGISTERED_TASKS = "allow"

    assert mistakes(api.post(TASKS, heartbeat(task=name))) == [("/task", "invisible")]
    assert mistakes(api.post(RUNS, {"task": name})) == [("/task", "invisible")]


def test_normal_form_is_stable():
    for spelling, name in SPELLINGS.items():
        assert normalized(spelling) == normalized(normalized(spelling)) == name
