"""Jitter, computed from the task and the slot."""

from datetime import UTC, datetime, timedelta

from scheduler_api.periodic_tasks.jitter import due_at

NOON = datetime(2027, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)


def test_jitter_is_stable_for_a_slot_and_spread_over_tasks():
    minute = timedelta(minutes=1)
    waits = [due_at(task_id, NOON, 60) - NOON for task_id in range(1000)]

    assert waits == [due_at(task_id, NOON, 60) - NOON for task_id in range(1000)]
    assert min(waits) >= timedelta(0)
    assert max(waits) < minute
    thirds = [sum(wait * 3 // minute == third for wait in waits) for third in range(3)]
    assert min(thirds) > 250
    assert due_at(1, NOON, 0) == NOON
