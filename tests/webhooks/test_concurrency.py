"""Concurrency limits of deliveries, and the order in which owners get the free threads."""

from datetime import timedelta
from random import Random

import pytest

from scheduler_api.webhooks.concurrency import (
    FOR_THROTTLED_WEBHOOKS,
    PER_THROTTLED_WEBHOOK,
    PER_WEBHOOK,
    SLOW,
    THREADS,
    Backlog,
    ConcurrencyLimit,
    Recipient,
    share,
)
from tests.api.runs.examples import NOON

QUICK = timedelta(0)


def enter(limit: ConcurrencyLimit, recipient: Recipient, times: int = 1) -> None:
    for _ in range(times):
        limit.enter(recipient)


def room_for(limit: ConcurrencyLimit, *recipients: Recipient) -> int:
    """Return how many deliveries to these webhooks may start, in turns."""
    limit = limit.copy()
    count = 0
    while startable := [each for each in recipients if limit.may_start(each)]:
        limit.enter(startable[0])
        count += 1
    return count


def throttled(*recipients: Recipient) -> ConcurrencyLimit:
    limit = ConcurrencyLimit()
    limit.throttled = {recipient.webhook_id for recipient in recipients}
    return limit


def webhooks_of(owner_id: int, count: int = 20) -> list[Recipient]:
    return [Recipient(owner_id, 100 * owner_id + number) for number in range(count)]


def backlog(recipient: Recipient, count: int = 100, *, minutes: int = 0) -> Backlog:
    """Return a backlog that has waited for some minutes."""
    first_at = NOON - timedelta(minutes=minutes)
    return Backlog(recipient=recipient, count=count, first_at=first_at)


# --- Limits -------------------------------------------------------------------------------------


def test_webhook_is_limited_to_its_share():
    assert room_for(ConcurrencyLimit(), Recipient(1, 1)) == PER_WEBHOOK


@pytest.mark.parametrize(
    ("has_failed", "duration", "room"),
    [
        (True, QUICK, PER_THROTTLED_WEBHOOK),
        (False, SLOW, PER_THROTTLED_WEBHOOK),
        (True, SLOW, PER_THROTTLED_WEBHOOK),
        (False, SLOW - timedelta(milliseconds=1), PER_WEBHOOK),
        (False, QUICK, PER_WEBHOOK),
    ],
)
def test_webhook_has_a_lower_limit_after_a_failure_or_a_slow_success(has_failed, duration, room):
    limit, webhook = ConcurrencyLimit(), Recipient(1, 1)
    enter(limit, webhook)
    limit.leave(webhook, has_failed=has_failed, duration=duration)
    assert room_for(limit, webhook) == room

    enter(limit, webhook)
    limit.leave(webhook, has_failed=False, duration=QUICK)
    assert room_for(limit, webhook) == PER_WEBHOOK


@pytest.mark.parametrize(("owners", "each"), [(1, 8), (2, 6), (3, 4), (7, 2)])
def test_owners_leave_threads_to_another_owner(owners, each):
    limit = ConcurrencyLimit()
    for _ in range(THREADS):
        for owner_id in range(1, owners + 1):
            startable = filter(limit.may_start, webhooks_of(owner_id))
            if webhook := next(startable, None):
                limit.enter(webhook)

    assert max(limit.in_flight_of(owner_id) for owner_id in range(1, owners + 1)) <= each
    assert limit.may_start(Recipient(99, 9900))


def test_throttled_webhooks_leave_half_of_the_threads_to_others():
    webhooks = [webhook for owner_id in range(1, 9) for webhook in webhooks_of(owner_id)]
    limit = throttled(*webhooks)
    for webhook in webhooks:
        if limit.may_start(webhook):
            limit.enter(webhook)

    assert limit.left() >= THREADS - FOR_THROTTLED_WEBHOOKS
    assert room_for(limit, Recipient(99, 9900)) == PER_WEBHOOK


def test_throttled_webhooks_of_an_owner_leave_room_for_throttled_ones_of_others():
    hostile, other = webhooks_of(1), Recipient(2, 200)
    limit = throttled(*hostile, other)

    assert room_for(limit, *hostile) == FOR_THROTTLED_WEBHOOKS // 2
    for webhook in hostile:
        if limit.may_start(webhook):
            limit.enter(webhook)
    assert limit.may_start(other)


def test_copy_of_a_limit_is_independent():
    limit = ConcurrencyLimit()
    enter(limit.copy(), Recipient(1, 1))

    assert limit.left() == THREADS


# --- The order ----------------------------------------------------------------------------------


def test_owner_with_the_fewest_deliveries_in_flight_goes_first():
    limit = ConcurrencyLimit()
    busy, idle = webhooks_of(1), Recipient(2, 200)
    enter(limit, busy[0], 3)

    shares = share([*(backlog(each, minutes=60) for each in busy), backlog(idle)], limit)

    assert next(iter(shares)) == idle
    assert shares[idle] == PER_WEBHOOK


def test_owners_take_turns_whatever_their_number_of_webhooks():
    hostile, others = webhooks_of(1), [Recipient(owner_id, owner_id) for owner_id in (2, 3, 4)]

    shares = share(
        [*(backlog(each, minutes=60) for each in hostile), *map(backlog, others)],
        ConcurrencyLimit(),
    )

    assert [shares[other] for other in others] == [3, 3, 3]
    assert sum(shares.get(each, 0) for each in hostile) == 4  # it waits longest


def test_webhook_of_an_owner_that_waits_longest_goes_first():
    waiting = webhooks_of(1, 4)
    minutes = [5, 60, 0, 30]
    backlogs = [backlog(each, 1, minutes=ago) for each, ago in zip(waiting, minutes, strict=True)]

    assert [*share(backlogs, ConcurrencyLimit())] == [waiting[i] for i in (1, 3, 0, 2)]


def test_no_more_deliveries_start_than_wait():
    assert share([backlog(Recipient(1, 1), 2)], ConcurrencyLimit()) == {Recipient(1, 1): 2}
    assert share([], ConcurrencyLimit()) == {}


@pytest.mark.parametrize("seed", range(20))
def test_owner_without_deliveries_in_flight_always_gets_a_thread(seed):
    """Fewer than THREADS owners, in any state, never hold all threads."""
    rng, limit = Random(seed), ConcurrencyLimit()
    webhooks = [each for owner_id in range(1, 6) for each in webhooks_of(owner_id)]
    for _ in range(300):
        if limit.in_flight and rng.random() < 0.4:
            ended = rng.choice([*limit.in_flight])
            duration = rng.choice([QUICK, SLOW])
            limit.leave(ended, has_failed=rng.random() < 0.3, duration=duration)
            continue
        for recipient in share([backlog(rng.choice(webhooks))], limit):
            limit.enter(recipient)

        assert limit.in_flight.total() <= THREADS
        assert limit.may_start(Recipient(99, 9900))
