"""Who may have how many messages on their way."""

from scheduler_api.webhooks.concurrency import (
    FOR_FAILING_WEBHOOKS,
    PER_FAILING_WEBHOOK,
    PER_WEBHOOK,
    THREADS,
    Room,
)


def entered(room: Room, webhook_id: int, times: int = 1) -> None:
    for _ in range(times):
        room.enter(webhook_id)


def test_each_webhook_has_its_share():
    room = Room()
    entered(room, 1, PER_WEBHOOK)

    assert (room.left(), room.left_for(1), room.left_for(2)) == (
        THREADS - PER_WEBHOOK,
        0,
        PER_WEBHOOK,
    )
    assert room.full() == [1]


def test_one_that_has_failed_has_less_until_something_arrives():
    room = Room()
    entered(room, 1)
    room.leave(1, has_failed=True)
    assert room.left_for(1) == PER_FAILING_WEBHOOK

    entered(room, 1)
    room.leave(1, has_failed=False)
    assert room.left_for(1) == PER_WEBHOOK


def test_those_that_fail_leave_half_of_the_room_to_the_others():
    room = Room()
    for webhook_id in range(100):
        entered(room, webhook_id)
        room.leave(webhook_id, has_failed=True)
    for webhook_id in range(FOR_FAILING_WEBHOOKS):
        entered(room, webhook_id)

    assert room.left() == THREADS - FOR_FAILING_WEBHOOKS
    assert {*room.full()} == {*range(100)}
    assert room.left_for(1000) == PER_WEBHOOK


def test_a_copy_changes_nothing_of_the_first():
    room = Room()
    entered(room.copy(), 1)

    assert room.left() == THREADS
