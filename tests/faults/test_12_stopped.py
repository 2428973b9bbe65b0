"""Beat receives SIGTERM in the middle of a batch."""

import random
from datetime import timedelta

import pytest

from tests.faults.overlapping import TrialFactory
from tests.faults.trial import SECOND, scaled

pytestmark = pytest.mark.calm

INTERVAL = timedelta(seconds=3)


def test_beat_stopped_in_a_batch_loses_no_slot(
    make_trial: TrialFactory, rng: random.Random
) -> None:
    stopped = make_trial("12 SIGTERM in a batch")
    stopped.start()
    [first, *_] = stopped.define(count=scaled(300), interval=INTERVAL)
    stopped.run_for(4)
    for _ in range(3):
        now = stopped.arms[0].now()
        to_slot = INTERVAL - (now - first.slots[0]) % INTERVAL
        stopped.run_for(to_slot / SECOND + rng.uniform(0, 0.15))
        with stopped.outage():
            for arm in stopped.arms:
                # Stock beat does not always stop.
                is_stock = arm.name == "stock"
                assert arm.beat.stop(timeout_seconds=2 if is_stock else 10) or is_stock, (
                    arm.output()
                )
            stopped.restart()
    stopped.run_for(3)

    stopped.judge()
