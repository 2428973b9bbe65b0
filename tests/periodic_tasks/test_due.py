"""The id of a slot's run, and when it is taken up."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest

from scheduler_api.periodic_tasks.due import due_at, run_id

NOON = datetime(2027, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
MICROSECOND, MILLISECOND = timedelta(microseconds=1), timedelta(milliseconds=1)
SLOTS = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    NOON,
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
]


def test_the_id_of_a_slot_never_changes():
    assert run_id(7, NOON) == "01a5dabf-467b-8dfb-9531-2ef91b3078de"


@pytest.mark.parametrize("slot_at", SLOTS)
def test_an_id_is_a_uuid_as_it_is_written(slot_at):
    id_ = run_id(7, slot_at)

    uuid = UUID(id_)
    assert (str(uuid), uuid.version, uuid.variant) == (id_, 8, RFC_4122)


def test_each_task_and_slot_and_suffix_has_another():
    ids = [
        run_id(task_id, NOON + number * MICROSECOND, suffix=suffix)
        for task_id in (1, 2, 12)
        for number in range(3000)
        for suffix in (b"", b" backfill")
    ]

    assert len(set(ids)) == len(ids)


def test_ids_of_later_slots_come_later():
    ids = [run_id(99 - number, NOON + number * MILLISECOND) for number in range(99)]

    assert ids == sorted(ids)
    assert int(ids[0].replace("-", "")[:12], 16) == int(NOON.timestamp() * 1000)


def test_jitter_is_the_same_for_the_same_slot_and_spread_for_others():
    minute = timedelta(minutes=1)
    waits = [due_at(task_id, NOON, 60) - NOON for task_id in range(1000)]

    assert waits == [due_at(task_id, NOON, 60) - NOON for task_id in range(1000)]
    assert min(waits) >= timedelta(0)
    assert max(waits) < minute
    thirds = [sum(wait * 3 // minute == third for wait in waits) for third in range(3)]
    assert min(thirds) > 250
    assert due_at(1, NOON, 0) == NOON
