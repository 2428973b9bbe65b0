"""Concurrent senders, on PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from scheduler_api.runs.events import RunEvent
from scheduler_api.webhooks.concurrency import PER_WEBHOOK, THREADS, ConcurrencyLimit
from scheduler_api.webhooks.delivery_queue import claim_due
from scheduler_api.webhooks.fan_out import fan_out
from scheduler_api.webhooks.models import Delivery
from tests.api.runs.examples import NOON
from tests.webhooks.examples import account, due_delivery, store_event, task_of, webhook_of

pytestmark = pytest.mark.django_db(transaction=True)
SENDERS = 3


@pytest.fixture(autouse=True)
def _skip_on_sqlite() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time, and its test database is one connection's")


def concurrently(do: Callable[[], Any]) -> list[Any]:
    """Run the same in several threads at the same time."""
    start = Barrier(SENDERS, timeout=20)

    def do_once(_: int) -> Any:
        start.wait()
        try:
            return do()
        finally:
            connection.close()

    with ThreadPoolExecutor(SENDERS) as threads:
        return list(threads.map(do_once, range(SENDERS)))


def test_delivery_is_claimed_by_one_sender() -> None:
    owner = account()
    for _ in range(THREADS):
        webhook, _ = webhook_of(owner)
        for _ in range(PER_WEBHOOK):
            due_delivery(webhook)

    claimed = concurrently(lambda: claim_due(NOON, limit=ConcurrencyLimit()))

    ids = [delivery.pk for deliveries in claimed for delivery in deliveries]
    assert len(ids) == len({*ids})
    assert Delivery.objects.filter(attempts=1).count() == len(ids) >= THREADS
    assert not Delivery.objects.filter(attempts__gt=1).exists()


def test_event_is_fanned_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler_api.webhooks.fan_out.BATCH_SIZE", 5)
    owner = account()
    webhook_of(owner)
    task = task_of(owner)
    for _ in range(30):
        store_event(task)

    counts = concurrently(lambda: fan_out(now=NOON))
    fan_out(now=NOON)  # events that each sender skipped

    assert sum(counts) <= 30
    assert not RunEvent.objects.exists()
    assert Delivery.objects.count() == Delivery.objects.values("run_id").distinct().count() == 30
