"""Whether what beat decided of a slot is what its misfire policy says.

A slot is late when beat takes it up more than GRACE after it was due. `skip`: late slots are
missed. `run_once`: if one of the slots that have passed is late, only the latest is sent, where it
is within the window. `run_all`: the latest 100 late ones are sent, each where it is within the
window. What is not late is sent.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta

from tests.faults.evidence import Definition, Misfire, Row

GRACE = timedelta(seconds=10)
MAX_CAUGHT_UP = 100
# Beat reads its clock, then writes the row.
CLOCK_MARGIN = timedelta(seconds=1)


def may_send(definition: Definition, row: Row) -> bool:
    """Tell whether its policy sends this slot when it did."""
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
    """Tell whether its policy gives this slot up when the row of its stretch did."""
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
    """Count the slots after one moment, up to and with another."""
    return max(0, bisect_right(slots, until) - bisect_right(slots, after))


def covered_slots(definition: Definition, row: Row) -> Sequence[datetime]:
    """Return the slots that a row stands for."""
    first = bisect_left(definition.slots, row.slot_at)
    return definition.slots[
        first : bisect_right(definition.slots, row.last_slot_at or row.slot_at)
    ]
