"""Concurrency limits of deliveries."""

from scheduler_api.webhooks.concurrency import (
    FOR_FAILING_WEBHOOKS,
    PER_FAILING_WEBHOOK,
    PER_WEBHOOK,
    THREADS,
    ConcurrencyLimit,
)


def enter(limit: ConcurrencyLimit, webhook_id: int, times: int = 1) -> None:
    for _ in range(times):
        limit.enter(webhook_id)


def test_webhook_is_limited_to_its_share():
    limit = ConcurrencyLimit()
    enter(limit, 1, PER_WEBHOOK)

    assert (limit.left(), limit.left_for(1), limit.left_for(2)) == (
        THREADS - PER_WEBHOOK,
        0,
        PER_WEBHOOK,
    )
    assert limit.exhausted() == [1]


def test_failing_webhook_has_a_lower_limit_until_a_success():
    limit = ConcurrencyLimit()
    enter(limit, 1)
    limit.leave(1, has_failed=True)
    assert limit.left_for(1) == PER_FAILING_WEBHOOK

    enter(limit, 1)
    limit.leave(1, has_failed=False)
    assert limit.left_for(1) == PER_WEBHOOK


def test_failing_webhooks_leave_half_of_the_threads_to_others():
    limit = ConcurrencyLimit()
    for webhook_id in range(100):
        enter(limit, webhook_id)
        limit.leave(webhook_id, has_failed=True)
    for webhook_id in range(FOR_FAILING_WEBHOOKS):
        enter(limit, webhook_id)

    assert limit.left() == THREADS - FOR_FAILING_WEBHOOKS
    assert {*limit.exhausted()} == {*range(100)}
    assert limit.left_for(1000) == PER_WEBHOOK


def test_copy_of_a_limit_is_independent():
    limit = ConcurrencyLimit()
    enter(limit.copy(), 1)

    assert limit.left() == THREADS
