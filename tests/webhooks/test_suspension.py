"""Suspension: a webhook stops while its owner has no live key or not the scope, and goes on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler_api.access.models import ApiKey, ServiceAccount
from scheduler_api.webhooks.concurrency import ConcurrencyLimit
from scheduler_api.webhooks.delivery_queue import claim_due
from scheduler_api.webhooks.fan_out import fan_out
from scheduler_api.webhooks.models import Delivery, Webhook
from scheduler_api.webhooks.suspension import NO_LIVE_KEY, NO_SCOPE
from tests.api.http.responses import refusal
from tests.api.runs.examples import NOON
from tests.client import ContractClient
from tests.webhooks.examples import (
    DELIVERIES,
    WEBHOOKS,
    account,
    due_delivery,
    store_event,
    task_of,
    webhook_of,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

PAST, FUTURE = NOON - timedelta(days=1), NOON + timedelta(days=36500)


def keys(**columns: Any) -> Callable[[], object]:
    return lambda: ApiKey.objects.filter(service_account__name="crm").update(**columns)


def scopes(*names: str) -> Callable[[], object]:
    return lambda: ServiceAccount.objects.filter(name="crm").update(scopes=names)


def delete_keys() -> None:
    ApiKey.objects.filter(service_account__name="crm").delete()


def another_key() -> None:
    ApiKey.issue(account())


# What stops the webhooks of an account, how that is mended, and the reason that is shown.
CAUSES: dict[str, tuple[Callable[[], object], Callable[[], object], str]] = {
    "revoked": (keys(revoked_at=datetime(2020, 1, 1, tzinfo=UTC)), another_key, NO_LIVE_KEY),
    "expired": (keys(expires_at=datetime(2020, 1, 1, tzinfo=UTC)), keys(expires_at=FUTURE),
                NO_LIVE_KEY),
    "deleted": (delete_keys, another_key, NO_LIVE_KEY),
    "without the scope": (scopes("webhooks:read", "runs:read"), scopes("webhooks:write"),
                          NO_SCOPE),
    "without any scope": (scopes(), scopes("admin"), NO_SCOPE),
}  # fmt: skip
all_causes = pytest.mark.parametrize(("stop", "mend", "reason"), CAUSES.values(), ids=CAUSES)


@pytest.fixture
def webhook() -> Webhook:
    return webhook_of(account())[0]


def claimed() -> list[int]:
    return [delivery.webhook_id for delivery in claim_due(NOON, limit=ConcurrencyLimit())]


@all_causes
def test_suspended_webhook_gets_no_delivery_until_the_cause_is_mended(
    webhook: Webhook, stop: Callable[[], object], mend: Callable[[], object], reason: str
):
    other = webhook_of(account("other"))[0]
    for each in (webhook, other):
        due_delivery(each)
    stop()

    assert claimed() == [other.pk]
    assert claimed() == []

    mend()
    assert claimed() == [webhook.pk]


@all_causes
def test_event_during_a_suspension_makes_no_delivery(
    webhook: Webhook, stop: Callable[[], object], mend: Callable[[], object], reason: str
):
    task = task_of(account())
    stop()
    store_event(task)
    fan_out(now=NOON)
    assert not Delivery.objects.exists()

    mend()
    store_event(task)
    fan_out(now=NOON)
    assert Delivery.objects.get().webhook == webhook


@all_causes
def test_suspension_is_shown_with_its_reason(
    api: ContractClient,
    webhook: Webhook,
    stop: Callable[[], object],
    mend: Callable[[], object],
    reason: str,
):
    def shown() -> list[str]:
        one = api.get(f"{WEBHOOKS}{webhook.pk}/").json()
        (listed,) = api.get(WEBHOOKS).json()["results"]
        assert listed == one
        return [one["suspended_reason"], one["enabled"]]

    assert shown() == ["", True]
    tag = api.get(f"{WEBHOOKS}{webhook.pk}/").headers["ETag"]

    stop()

    assert shown() == [reason, True]
    assert api.get(f"{WEBHOOKS}{webhook.pk}/").headers["ETag"] == tag
    delivery = due_delivery(webhook)
    for address in (f"{WEBHOOKS}{webhook.pk}/ping/", f"{DELIVERIES}{delivery.pk}/redeliver/"):
        refused = api.post(address)
        assert refusal(refused) == (409, "webhook_suspended")
        assert refused.json()["detail"] == reason

    mend()

    assert shown() == ["", True]
    assert api.post(f"{WEBHOOKS}{webhook.pk}/ping/").status_code == 202


def test_one_live_key_of_several_suffices(webhook: Webhook):
    keys(revoked_at=PAST)()
    another_key()
    due_delivery(webhook)

    assert claimed() == [webhook.pk]


def test_owner_may_not_be_changed_to_evade_a_suspension(api: ContractClient, webhook: Webhook):
    delete_keys()

    body = {"owner": "tests", "enabled": True}
    changed = api.patch(f"{WEBHOOKS}{webhook.pk}/", body).json()

    assert (changed["owner"], changed["suspended_reason"]) == ("crm", NO_LIVE_KEY)
