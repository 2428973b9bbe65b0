"""When a slot is taken up, and the id of its run: the same for a slot, whoever asks."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha1
from uuid import UUID

NAMESPACE = UUID("8f5c4b0e-7a55-5c0f-9d3b-2d4f0c6a9e11").bytes
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
A_MICROSECOND = timedelta(microseconds=1)
MOST_MILLISECONDS = (1 << 48) - 1


def run_id(task_id: int, slot_at: datetime, *, suffix: bytes = b"") -> str:
    """Return the id of the run of a slot: the same, whoever asks.

    It is a UUID of version 8 (RFC 9562, 5.8): 48 bits are the milliseconds of the slot, so that
    ids of the same time are neighbours in an index, and 74 a digest of task, slot and `suffix`,
    which is for a second row of the same slot.
    """
    microseconds = (slot_at - EPOCH) // A_MICROSECOND
    name = b"%d@%d%s" % (task_id, microseconds, suffix)
    digest = sha1(NAMESPACE + name, usedforsecurity=False).hexdigest()
    time = f"{microseconds // 1000 & MOST_MILLISECONDS:012x}"
    variant = "89ab"[int(digest[3], 16) & 3]
    return f"{time[:8]}-{time[8:]}-8{digest[:3]}-{variant}{digest[4:7]}-{digest[7:19]}"


def due_at(task_id: int, slot_at: datetime, jitter_seconds: int) -> datetime:
    """Return when a slot is taken up: up to so much later, always the same for a slot."""
    if not jitter_seconds:
        return slot_at
    return slot_at + jitter_seconds * jitter_of(task_id, slot_at)


@lru_cache(maxsize=1024)
def jitter_of(task_id: int, slot_at: datetime) -> timedelta:
    """Return a part of a second that looks like chance, and is the same for the same slot."""
    drawn = int(run_id(task_id, slot_at)[-8:], 16)
    return timedelta(microseconds=drawn * 1_000_000 >> 32)
