"""How long is kept what was told."""

from datetime import timedelta

import pytest

from scheduler_api.tasks import prune_runs
from scheduler_api.webhooks import retention
from scheduler_api.webhooks.models import Delivery
from tests.api.runs.examples import NOON
from tests.webhooks.examples import account, to_be_sent, webhook_of

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.mark.parametrize("state", Delivery.State.values)
def test_old_deliveries_go_whatever_became_of_them(state):
    webhook, _ = webhook_of(account())
    to_be_sent(webhook, state=state, created_at=NOON - 31 * DAY)
    young = to_be_sent(webhook, state=state, created_at=NOON - 29 * DAY)

    assert retention.prune(at=NOON, older_than=30 * DAY) == 1
    assert Delivery.objects.get() == young


def test_there_may_be_more_than_are_deleted_at_once(monkeypatch):
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    webhook, _ = webhook_of(account())
    for _ in range(5):
        to_be_sent(webhook, created_at=NOON - 31 * DAY)

    assert retention.prune(at=NOON, older_than=30 * DAY) == 5


def test_the_task_that_prunes_runs_prunes_these(settings):
    to_be_sent(webhook_of(account())[0], created_at=NOON - 10_000 * DAY)

    prune_runs()

    assert not Delivery.objects.exists()
