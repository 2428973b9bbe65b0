"""Nobody serves the agenda for a long time: what is caught up is as each policy says."""

from datetime import timedelta

import pytest

from tests.faults.evidence import Misfire
from tests.faults.overlapping import Make
from tests.faults.trial import SECOND

pytestmark = pytest.mark.calm

LONG = timedelta(minutes=20)
LENGTHS = [2 * SECOND, 7 * SECOND, timedelta(minutes=5)]


def test_a_long_outage(trial: Make) -> None:
    away = trial("11 long outage, each policy")
    for arm in away.arms:
        arm.horizon = 2 * LONG
        arm.step_clock(timedelta(0))
    away.start()
    for misfire in Misfire:
        for length in LENGTHS:
            name = f"{misfire.value}-{length.seconds}"
            away.define(name, misfire=misfire, length=length)
            window = {"catchup_window": timedelta(minutes=3)}
            away.define(f"{name}-window", misfire=misfire, length=length, **window)
    away.run_for(7)
    away.each(lambda arm: arm.beat.stop())
    with away.outage():
        # The time goes by in a moment.
        away.each(lambda arm: arm.step_clock(LONG))
        away.restart()
    away.run_for(5)

    away.judge()
