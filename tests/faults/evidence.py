"""Input of the checker: definitions, ledger rows, and effects of runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

# States of rows whose slots were never sent; and the state of a message that reached no queue.
NEVER_SENT = {"missed", "skipped", "expired"}
UNROUTABLE = "unroutable"


class Misfire(Enum):
    """The policy for slots that were not served in time."""

    SKIP = "skip"
    RUN_ONCE = "run_once"
    RUN_ALL = "run_all"


@dataclass(frozen=True, kw_only=True)
class Period:
    """A period of time; the end is excluded."""

    start_at: datetime
    end_at: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.start_at <= moment < self.end_at


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A periodic task for the checker.

    `slots` are sorted and cover the whole time that beat ran. Slots from `until` on are not
    judged, because the test did not wait for them. In `disabled_periods` nothing may run. In
    `uncertain_periods` a slot may run or not, because an edit is taking effect. If
    `is_clock_set_back`, the clock was set back: slots missed before that may be served later.
    """

    name: str
    slots: Sequence[datetime]
    until: datetime
    misfire: Misfire = Misfire.RUN_ALL
    catchup_window: timedelta = timedelta(hours=1)
    is_routable: bool = True
    is_clock_set_back: bool = False
    disabled_periods: Sequence[Period] = ()
    uncertain_periods: Sequence[Period] = ()

    def is_disabled(self, slot: datetime) -> bool:
        return any(slot in period for period in self.disabled_periods)

    def is_uncertain(self, slot: datetime) -> bool:
        return any(slot in period for period in self.uncertain_periods)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the ledger: one slot, or all slots from `slot_at` to `last_slot_at`."""

    id: str
    name: str
    state: str
    slot_at: datetime
    created_at: datetime
    queued_at: datetime | None = None
    slot_count: int = 1
    last_slot_at: datetime | None = None

    @property
    def is_sent(self) -> bool:
        return self.state not in NEVER_SENT


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A run that a worker started. `sent_at` is set only for a beat without a ledger."""

    id: str
    name: str
    started_at: datetime
    sent_at: datetime | None = None
    is_repeated: bool = False
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How early a run may start, and how late it may be sent: normally and after an outage."""

    early: timedelta = timedelta(0)
    late: timedelta = timedelta(seconds=2)
    after_outage: timedelta = timedelta(seconds=15)
    outages: Sequence[Period] = ()

    def deadline(self, slot: datetime) -> datetime:
        """Return the time until which a slot may be served."""
        deadline = slot + self.late
        for outage in self.outages:
            recovered_at = outage.end_at + self.after_outage
            if outage.start_at <= deadline and slot <= recovered_at:
                deadline = max(deadline, recovered_at)
        return deadline


def interval_slots(interval: timedelta, *, start_at: datetime, end_at: datetime) -> list[datetime]:
    """Return the slots of an interval schedule; `end_at` is excluded."""
    return list(generate_slots(interval, start_at, end_at))


def generate_slots(
    interval: timedelta, start_at: datetime, end_at: datetime
) -> Iterator[datetime]:
    slot, number = start_at, 0
    while slot < end_at:
        yield slot
        number += 1
        slot = start_at + number * interval
