"""Ids of runs, computed from the task and the slot."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest

from scheduler_api.periodic_tasks.run_ids import run_id

NOON = datetime(2027, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
MICROSECOND, MILLISECOND = timedelta(microseconds=1), timedelta(milliseconds=1)
SLOTS = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    NOON,
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
]


def test_run_id_of_a_slot_is_stable():
    assert run_id(7, NOON) == "01a5dabf-467b-8dfb-9531-2ef91b3078de"


@pytest.mark.parametrize("slot_at", SLOTS)
def test_run_id_is_a_canonical_uuid_of_version_8(slot_at):
    id_ = run_id(7, slot_at)

    uuid = UUID(id_)
    assert (str(uuid), uuid.version, uuid.variant) == (id_, 8, RFC_4122)


def test_run_ids_of_different_tasks_slots_and_suffixes_differ():
    ids = [
        run_id(task_id, NOON + number * MICROSECOND, suffix=suffix)
        for task_id in (1, 2, 12)
        for number in range(3000)
        for suffix in (b"", b" backfill")
    ]

    assert len(set(ids)) == len(ids)


def test_run_ids_sort_by_slot():
    ids = [run_id(99 - number, NOON + number * MILLISECOND) for number in range(99)]

    assert ids == sorted(ids)
    assert int(ids[0].replace("-", "")[:12], 16) == int(NOON.timestamp() * 1000)
