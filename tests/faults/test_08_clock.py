"""Beat's clock is stepped forward and back; daylight saving time begins and ends."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.arm import Arm
from tests.faults.evidence import Misfire, interval_slots
from tests.faults.overlapping import TrialFactory
from tests.faults.trial import SECOND, Trial

pytestmark = pytest.mark.calm

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
INTERVAL = 4 * SECOND


def step(trial: Trial, ahead: timedelta) -> None:
    """Step the clocks halfway between two slots, after the sent runs have started."""
    slots = trial.arms[0].definitions[0].slots
    now = trial.arms[0].now()
    since = (now - slots[0]) % INTERVAL
    trial.run_for(((INTERVAL / 2 - since) % INTERVAL).total_seconds())
    # A slot served after the step may have been due by the old clock.
    trial.for_each_arm(lambda arm: arm.step_clock(ahead))


def test_clock_stepped_forward_and_back_loses_no_slot(make_trial: TrialFactory) -> None:
    stepped = make_trial("08 clock ± 1 h, ± 1 day")
    for arm in stepped.arms:
        arm.horizon = DAY + HOUR
        arm.step_clock(timedelta(0))
    stepped.start()
    for misfire in Misfire:
        stepped.define(misfire.value, interval=INTERVAL, misfire=misfire, is_clock_set_back=True)
    stepped.run_for(7)
    for ahead in (HOUR, timedelta(0), DAY):
        with stepped.outage():
            step(stepped, ahead)
        if not ahead:
            stepped.define("after-it-was-set-back", interval=INTERVAL)
        stepped.run_for(8)
    for arm in stepped.arms:
        if arm.name == "ours":
            # Our beat uses the database's clock, so a wrong host clock changes nothing.
            arm.step_host(timedelta(0))
    stepped.run_for(5)

    stepped.judge()


# --- Daylight saving time ---------------------------------------------------------------------

SPRING = datetime(2027, 3, 28, 1, tzinfo=UTC)  # 02:00 in Berlin becomes 03:00
AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC)  # 03:00 in Berlin becomes 02:00
BERLIN = "Europe/Berlin"


def set_clock(trial: Trial, moment: datetime) -> None:
    ahead = moment - datetime.now(UTC)
    with trial.outage():
        trial.for_each_arm(lambda arm: arm.step_clock(ahead))


def test_daylight_saving_changes_lose_no_slot(make_trial: TrialFactory) -> None:
    spring, autumn = make_trial("08 zone, in spring"), make_trial("08 zone, in autumn")
    set_clock(spring, SPRING - 20 * SECOND)
    set_clock(autumn, AUTUMN - 30 * MINUTE - 20 * SECOND)
    spring.start()
    autumn.start()
    spring.for_each_arm(define_for_spring)
    autumn.for_each_arm(define_for_autumn)
    spring.run_for(16)
    # Half past two occurs again, an hour after the first time.
    set_clock(autumn, AUTUMN + 30 * MINUTE - 4 * SECOND)
    spring.run_for(10)

    spring.finish()
    autumn.finish()

    spring.assert_ours_is_right()
    autumn.assert_ours_is_right()
    if "stock" in spring.reports:
        assert spring.reports["stock"].bad_count() + autumn.reports["stock"].bad_count()


def define_for_spring(arm: Arm) -> None:
    arm.define_crontab("gap", "30 2 * * *", BERLIN, slots=[SPRING])
    arm.define_crontab("after", "0 3 * * *", BERLIN, slots=[SPRING])
    arm.define_crontab("hour", "0 * * * *", BERLIN, slots=[SPRING])
    arm.define_crontab("minute", "* * * * *", BERLIN, slots=minutes(SPRING, SPRING))


def define_for_autumn(arm: Arm) -> None:
    first, second = AUTUMN - 30 * MINUTE, AUTUMN + 30 * MINUTE
    arm.define_crontab("twice", "30 2 * * *", BERLIN, slots=[first])
    arm.define_crontab("half", "30 * * * *", BERLIN, slots=[first, second])
    arm.define_crontab("minute", "* * * * *", BERLIN, slots=minutes(first, second))


def minutes(first: datetime, last: datetime) -> list[datetime]:
    return interval_slots(MINUTE, start_at=first, end_at=last + MINUTE)
