"""A long time without beat: each misfire policy decides which slots are caught up."""

from datetime import timedelta

import pytest

from tests.faults.evidence import Misfire
from tests.faults.overlapping import TrialFactory
from tests.faults.trial import SECOND

pytestmark = pytest.mark.calm

OUTAGE = timedelta(minutes=20)
INTERVALS = [2 * SECOND, 7 * SECOND, timedelta(minutes=5)]


def test_long_outage_is_caught_up_by_policy(make_trial: TrialFactory) -> None:
    away = make_trial("11 long outage, each policy")
    for arm in away.arms:
        arm.horizon = 2 * OUTAGE
        arm.step_clock(timedelta(0))
    away.start()
    for misfire in Misfire:
        for interval in INTERVALS:
            name = f"{misfire.value}-{interval.seconds}"
            away.define(name, misfire=misfire, interval=interval)
            window = {"catchup_window": timedelta(minutes=3)}
            away.define(f"{name}-window", misfire=misfire, interval=interval, **window)
    away.run_for(7)
    away.for_each_arm(lambda arm: arm.beat.stop())
    with away.outage():
        # Step the clock instead of waiting.
        away.for_each_arm(lambda arm: arm.step_clock(OUTAGE))
        away.restart()
    away.run_for(5)

    away.judge()
