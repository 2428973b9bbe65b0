"""Ids of runs: a slot has one id, whichever process computes it."""

from datetime import datetime
from hashlib import sha1
from uuid import UUID

from scheduler_api.schedules.slots import EPOCH, ONE_MICROSECOND

NAMESPACE = UUID("8f5c4b0e-7a55-5c0f-9d3b-2d4f0c6a9e11").bytes
MAX_MILLISECONDS = (1 << 48) - 1


def run_id(task_id: int, slot_at: datetime, *, suffix: bytes = b"") -> str:
    """Return the id of the run of a slot, always the same for a slot.

    It is a UUID of version 8 (RFC 9562, 5.8): 48 bits are the milliseconds of the slot, so that
    ids of the same time are neighbours in an index, and 74 bits a digest of task, slot and
    `suffix`, which distinguishes a second row of the same slot.
    """
    microseconds = (slot_at - EPOCH) // ONE_MICROSECOND
    name = b"%d@%d%s" % (task_id, microseconds, suffix)
    digest = sha1(NAMESPACE + name, usedforsecurity=False).hexdigest()
    time = f"{microseconds // 1000 & MAX_MILLISECONDS:012x}"
    variant = "89ab"[int(digest[3], 16) & 3]
    return f"{time[:8]}-{time[8:]}-8{digest[:3]}-{variant}{digest[4:7]}-{digest[7:19]}"
