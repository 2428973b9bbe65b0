"""The values that the engine reads from a store and writes to it, and their columns."""

from dataclasses import dataclass
from datetime import datetime

# The columns of `due_slots.DueTask`, in its order.
AGENDA_COLUMNS = (
    "periodic_task_id",
    "slot_at",
    "due_at",
    "anchor_at",
    "slots_after_at",
    "timing_digest",
    "failures",
)
TASK_COLUMNS = (
    "name",
    "task",
    "args",
    "kwargs",
    "queue",
    "exchange",
    "routing_key",
    "priority",
    "headers",
    "start_time",
    "expires",
    "expire_seconds",
    "one_off",
    "interval_id",
    "crontab_id",
    "solar_id",
    "clocked_id",
)
MANAGED_COLUMNS = (
    "owner_id",
    "misfire",
    "catchup_window_seconds",
    "overlap",
    "jitter_seconds",
    "max_runtime_seconds",
    "managed_by",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingWork:
    """The kinds of work to do at a moment."""

    now: datetime
    is_stale: bool
    next_due_at: datetime | None
    has_unsent: bool
    has_buffered: bool
    has_pause_to_end: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Advance:
    """The new position of a task in the agenda after its slots were resolved."""

    task_id: int
    slot_at: datetime | None
    due_at: datetime | None
    resolved_through_at: datetime
    missed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Quarantine:
    """A task that cannot be planned or sent: the reason, and when to try again."""

    task_id: int
    failures: int
    last_error: str
    retry_at: datetime
