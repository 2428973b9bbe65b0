"""Retention of deliveries."""

from datetime import timedelta

import pytest

from scheduler_api.tasks import prune_runs
from scheduler_api.webhooks import retention
from scheduler_api.webhooks.models import Delivery
from tests.api.runs.examples import NOON
from tests.webhooks.examples import account, due_delivery, webhook_of

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.mark.parametrize("state", Delivery.State.values)
def test_prune_deletes_old_deliveries_in_every_state(state):
    webhook, _ = webhook_of(account())
    due_delivery(webhook, state=state, created_at=NOON - 31 * DAY)
    young = due_delivery(webhook, state=state, created_at=NOON - 29 * DAY)

    assert retention.prune(at=NOON, older_than=30 * DAY) == 1
    assert Delivery.objects.get() == young


def test_prune_deletes_in_batches(monkeypatch):
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    webhook, _ = webhook_of(account())
    for _ in range(5):
        due_delivery(webhook, created_at=NOON - 31 * DAY)

    assert retention.prune(at=NOON, older_than=30 * DAY) == 5


def test_prune_runs_task_also_prunes_deliveries(settings):
    due_delivery(webhook_of(account())[0], created_at=NOON - 10_000 * DAY)

    prune_runs()

    assert not Delivery.objects.exists()
