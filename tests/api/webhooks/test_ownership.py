"""A webhook is its account's: others' are not there, and neither is what was sent to them."""

import pytest

from scheduler_api.webhooks.models import Delivery, Webhook
from tests.api.access.callers import account_of, service
from tests.api.http.answers import refusal
from tests.client import ContractClient
from tests.contract.document import OPERATIONS, Operation
from tests.webhooks.examples import DELIVERIES, URL, WEBHOOKS, to_be_sent, webhook_of

BODY = {"name": "Mine", "url": URL}
# By id: what is sent to the address of one, and how its owner is answered.
AT_ONE: dict[str, tuple[object, int]] = {
    "getWebhook": (None, 200),
    "replaceWebhook": (BODY, 200),
    "updateWebhook": ({"name": "Mine"}, 200),
    "deleteWebhook": (None, 204),
    "rotateWebhook": (None, 200),
    "pingWebhook": (None, 202),
    "getDelivery": (None, 200),
    "redeliverDelivery": (None, 200),
}
at_each_operation = pytest.mark.parametrize(
    "operation",
    [
        pytest.param(operation, id=operation.id)
        for operation in OPERATIONS
        if operation.id in AT_ONE
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
    """What was sent to a webhook of the owner."""
    return to_be_sent(webhook_of(account_of("owner"))[0])


def call(client: ContractClient, operation: Operation, delivery: Delivery):
    pk = delivery.pk if operation.path.startswith(DELIVERIES) else delivery.webhook_id
    body, _ = AT_ONE[operation.id]
    return getattr(client, operation.method)(operation.path.replace("{id}", str(pk)), body)


def test_each_operation_at_one_is_tried():
    known = {
        operation.id
        for operation in OPERATIONS
        if operation.path.startswith((WEBHOOKS, DELIVERIES)) and "{id}" in operation.path
    }

    assert known == AT_ONE.keys()


@at_each_operation
def test_its_owner_and_admin_may(request, delivery, operation):
    for client in (request.getfixturevalue("owner"), request.getfixturevalue("api")):
        delivery = to_be_sent(webhook_of(account_of("owner"))[0])
        assert call(client, operation, delivery).status_code == AT_ONE[operation.id][1]


@at_each_operation
def test_for_others_it_is_not_there(other, delivery, operation):
    before = Webhook.objects.values().get()

    assert refusal(call(other, operation, delivery)) == (404, "not_found")
    assert Webhook.objects.values().get() == before
    assert Delivery.objects.get() == delivery


@at_each_operation
def test_without_a_key_nobody_may(delivery, operation):
    response = call(ContractClient(), operation, delivery)

    assert refusal(response) == (401, "not_authenticated")


@pytest.mark.parametrize("path", [WEBHOOKS, DELIVERIES])
def test_lists_have_the_callers_own_and_admins_all(api, owner, other, delivery, path):
    found = {client: len(client.get(path).json()["results"]) for client in (owner, other, api)}

    assert [*found.values()] == [1, 0, 1]


def test_a_new_one_is_its_makers_and_stays_so(api, owner):
    made = owner.post(WEBHOOKS, {**BODY, "owner": "tests"}).json()
    changed = api.patch(f"{WEBHOOKS}{made['id']}/", {"name": "Changed"}).json()

    assert (made["owner"], changed["owner"]) == ("owner", "owner")


def test_an_account_goes_with_its_webhooks(api, delivery):
    pk = account_of("owner").pk

    assert api.delete(f"/api/v1/service-accounts/{pk}/").status_code == 204
    assert not Webhook.objects.exists()
