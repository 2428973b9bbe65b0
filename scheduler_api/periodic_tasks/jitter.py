"""Jitter: the delay between a slot and the moment when beat sends its run."""

from datetime import datetime, timedelta
from functools import lru_cache

from scheduler_api.periodic_tasks.run_ids import run_id


def due_at(task_id: int, slot_at: datetime, jitter_seconds: int) -> datetime:
    """Return the due time of a slot: up to `jitter_seconds` later, always the same for a slot."""
    if not jitter_seconds:
        return slot_at
    return slot_at + jitter_seconds * jitter_fraction(task_id, slot_at)


@lru_cache(maxsize=1024)
def jitter_fraction(task_id: int, slot_at: datetime) -> timedelta:
    """Return a pseudo-random part of a second, always the same for a slot."""
    drawn = int(run_id(task_id, slot_at)[-8:], 16)
    return timedelta(microseconds=drawn * 1_000_000 >> 32)
