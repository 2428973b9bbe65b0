"""Who may have how many messages on their way."""

from scheduler_api.webhooks.concurrency import (
    FOR_FAILING_WEBHOOKS,
    PER_FAILING_WEBHOOK,
    PER_WEBHOOK,
    THREADS,
    ConcurrencyLimit,
)


def entered(limit: ConcurrencyLimit, webhook_id: int, times: int = 1) -> None:
    for _ in range(times):
        limit.enter(webhook_id)


def test_each_webhook_has_its_share():
    limit = ConcurrencyLimit()
    entered(limit, 1, PER_WEBHOOK)

    assert (limit.left(), limit.left_for(1), limit.left_for(2)) == (
        THREADS - PER_WEBHOOK,
        0,
        PER_WEBHOOK,
    )
    assert limit.exhausted() == [1]


def test_one_that_has_failed_has_less_until_something_arrives():
    limit = ConcurrencyLimit()
    entered(limit, 1)
    limit.leave(1, has_failed=True)
    assert limit.left_for(1) == PER_FAILING_WEBHOOK

    entered(limit, 1)
    limit.leave(1, has_failed=False)
    assert limit.left_for(1) == PER_WEBHOOK


def test_those_that_fail_leave_half_of_the_room_to_the_others():
    limit = ConcurrencyLimit()
    for webhook_id in range(100):
        entered(limit, webhook_id)
        limit.leave(webhook_id, has_failed=True)
    for webhook_id in range(FOR_FAILING_WEBHOOKS):
        entered(limit, webhook_id)

    assert limit.left() == THREADS - FOR_FAILING_WEBHOOKS
    assert {*limit.exhausted()} == {*range(100)}
    assert limit.left_for(1000) == PER_WEBHOOK


def test_a_copy_changes_nothing_of_the_first():
    limit = ConcurrencyLimit()
    entered(limit.copy(), 1)

    assert limit.left() == THREADS
