"""Checks beat's decision on a slot against the misfire policy.

A slot is late if beat claims it more than GRACE after its due time. A slot that is not late is
sent. Late slots depend on the policy:

- `skip`: late slots are missed.
- `run_once`: if one of the passed slots is late, only the latest slot is sent, if it is within the
  catch-up window.
- `run_all`: the latest 100 late slots are sent, each only if it is within the window.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta

from tests.faults.evidence import Definition, Misfire, Row

GRACE = timedelta(seconds=10)
MAX_CAUGHT_UP = 100
# Beat reads its clock before it writes the row, so the row's time is slightly later.
CLOCK_MARGIN = timedelta(seconds=1)


def may_send(definition: Definition, row: Row) -> bool:
    """Return whether the policy allows sending this slot at the time of its row."""
    lateness = row.created_at - row.slot_at
    if lateness <= GRACE + CLOCK_MARGIN:
        return True
    if definition.misfire is Misfire.SKIP or lateness > definition.catchup_window + CLOCK_MARGIN:
        return False
    if definition.misfire is Misfire.RUN_ONCE:
        return not count_slots(
            definition.slots, after=row.slot_at, until=row.created_at - CLOCK_MARGIN
        )
    late_at = row.created_at - GRACE - CLOCK_MARGIN
    return count_slots(definition.slots, after=row.slot_at, until=late_at) < MAX_CAUGHT_UP


def may_miss(definition: Definition, row: Row, slot: datetime) -> bool:
    """Return whether the policy allows missing this slot at the time of its row."""
    lateness = row.created_at - slot
    if lateness > definition.catchup_window - CLOCK_MARGIN:
        return True
    if definition.misfire is Misfire.SKIP:
        return lateness > GRACE - CLOCK_MARGIN
    if definition.misfire is Misfire.RUN_ONCE:
        newer = count_slots(definition.slots, after=slot, until=row.created_at)
        return newer > 0 and row.created_at - row.slot_at > GRACE - CLOCK_MARGIN
    late_at = row.created_at - GRACE + CLOCK_MARGIN
    return count_slots(definition.slots, after=slot, until=late_at) >= MAX_CAUGHT_UP


def count_slots(slots: Sequence[datetime], *, after: datetime, until: datetime) -> int:
    """Count the slots later than `after`, up to and including `until`."""
    return max(0, bisect_right(slots, until) - bisect_right(slots, after))


def covered_slots(definition: Definition, row: Row) -> Sequence[datetime]:
    """Return the slots that a row covers."""
    first = bisect_left(definition.slots, row.slot_at)
    return definition.slots[
        first : bisect_right(definition.slots, row.last_slot_at or row.slot_at)
    ]
