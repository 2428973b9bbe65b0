"""Ownership: webhooks and deliveries of other accounts are not found."""

import pytest

from scheduler_api.webhooks.models import Delivery, Webhook
from tests.api.access.callers import account_of, service
from tests.api.http.responses import refusal
from tests.client import ContractClient
from tests.contract.document import OPERATIONS, Operation
from tests.webhooks.examples import DELIVERIES, URL, WEBHOOKS, due_delivery, webhook_of

BODY = {"name": "Mine", "url": URL}
# By operation id: the body, and the status for the owner.
OBJECT_OPERATIONS: dict[str, tuple[object, int]] = {
    "getWebhook": (None, 200),
    "replaceWebhook": (BODY, 200),
    "updateWebhook": ({"name": "Mine"}, 200),
    "deleteWebhook": (None, 204),
    "rotateWebhook": (None, 200),
    "pingWebhook": (None, 202),
    "getDelivery": (None, 200),
    "redeliverDelivery": (None, 200),
}
each_operation = pytest.mark.parametrize(
    "operation",
    [
        pytest.param(operation, id=operation.id)
        for operation in OPERATIONS
        if operation.id in OBJECT_OPERATIONS
    ],
)


@pytest.fixture
def owner(db):
    return service("owner")


@pytest.fixture
def other(db):
    return service("other", sees_unowned=True)


@pytest.fixture
def delivery(owner):
    """A delivery to a webhook of the owner."""
    return due_delivery(webhook_of(account_of("owner"))[0])


def call(client: ContractClient, operation: Operation, delivery: Delivery):
    pk = delivery.pk if operation.path.startswith(DELIVERIES) else delivery.webhook_id
    body, _ = OBJECT_OPERATIONS[operation.id]
    return getattr(client, operation.method)(operation.path.replace("{id}", str(pk)), body)


def test_every_operation_on_one_object_is_covered():
    known = {
        operation.id
        for operation in OPERATIONS
        if operation.path.startswith((WEBHOOKS, DELIVERIES)) and "{id}" in operation.path
    }

    assert known == OBJECT_OPERATIONS.keys()


@each_operation
def test_operation_by_owner_or_admin_is_allowed(request, delivery, operation):
    for client in (request.getfixturevalue("owner"), request.getfixturevalue("api")):
        delivery = due_delivery(webhook_of(account_of("owner"))[0])
        assert call(client, operation, delivery).status_code == OBJECT_OPERATIONS[operation.id][1]


@each_operation
def test_operation_by_another_account_is_not_found(other, delivery, operation):
    before = Webhook.objects.values().get()

    assert refusal(call(other, operation, delivery)) == (404, "not_found")
    assert Webhook.objects.values().get() == before
    assert Delivery.objects.get() == delivery


@each_operation
def test_operation_without_a_key_is_refused(delivery, operation):
    response = call(ContractClient(), operation, delivery)

    assert refusal(response) == (401, "not_authenticated")


@pytest.mark.both_databases
@pytest.mark.parametrize("path", [WEBHOOKS, DELIVERIES])
def test_list_contains_own_objects_and_all_for_admin(api, owner, other, delivery, path):
    found = {client: len(client.get(path).json()["results"]) for client in (owner, other, api)}

    assert [*found.values()] == [1, 0, 1]


def test_owner_of_a_webhook_is_its_creator_and_never_changes(api, owner):
    made = owner.post(WEBHOOKS, {**BODY, "owner": "tests"}).json()
    changed = api.patch(f"{WEBHOOKS}{made['id']}/", {"name": "Changed"}).json()

    assert (made["owner"], changed["owner"]) == ("owner", "owner")


def test_delete_account_deletes_its_webhooks(api, delivery):
    pk = account_of("owner").pk

    assert api.delete(f"/api/v1/service-accounts/{pk}/").status_code == 204
    assert not Webhook.objects.exists()
