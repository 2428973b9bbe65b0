"""Several beats at once; one of them is paused at the most critical steps."""

import pytest

from tests.faults.overlapping import TrialFactory
from tests.faults.processes import wait_until
from tests.faults.trial import SCALE, Trial, scaled

pytestmark = [pytest.mark.calm, pytest.mark.control]

# Inside an uncommitted claim; between the commit and the publishing.
IN_CLAIM = "scheduler_api.scheduler.postgres_store:PostgresStore.write_claim:after:1:STOP"
BEFORE_PUBLISHING = "scheduler_api.broker.publisher:Publisher.submit:before:2:STOP"
# Longer than a slot may be late; longer than other beats wait before they take over a batch.
PAUSES_SECONDS = [12, 17] if SCALE <= 1 else [20, 20]


@pytest.mark.parametrize("beats", [3] if SCALE <= 1 else [2, 3])
def test_several_beats_with_one_paused_lose_no_slot(make_trial: TrialFactory, beats: int) -> None:
    several = make_trial(f"02 {beats} beats, one stopped for a while")
    for arm in several.arms:
        arm.add_beat(FAULTS_CRASH=f"{IN_CLAIM} {BEFORE_PUBLISHING}" * (arm.name == "ours"))
        for _ in range(beats - 1):
            arm.add_beat()
    several.restart()
    several.define(count=scaled(20))
    for pause in PAUSES_SECONDS:
        pause_one_beat(several)
        with several.outage():
            several.run_for(pause)
            several.for_each_arm(lambda arm: arm.beat.resume())
    several.run_for(2)

    several.judge()


def pause_one_beat(several: Trial) -> None:
    """Wait until our beat pauses at its crash point, then pause the stock beat too."""
    several.run_for(3)
    for arm in several.arms:
        if arm.name == "ours":
            wait_until(arm.beat.is_paused, timeout_seconds=60, details=arm.output)
        else:
            arm.beat.pause()
