"""Beat is killed: at random, and at each step from the claim to the row that records the send."""

import random

import pytest

from tests.faults.arm import Arm
from tests.faults.overlapping import TrialFactory
from tests.faults.processes import wait_until
from tests.faults.trial import scaled

pytestmark = pytest.mark.calm

# The steps between a due slot and the row that says that it was sent.
CRASH_POINTS = {
    "ours": [
        "scheduler_api.scheduler.postgres_store:PostgresStore.write_claim:before:2:KILL",
        # The previous one is before the commit, this one after it.
        "scheduler_api.scheduler.postgres_store:PostgresStore.write_claim:after:2:KILL",
        "scheduler_api.scheduler.engine:Engine.hand_over:before:2:KILL",
        "scheduler_api.broker.frames:FrameTemplate.render:after:15:KILL",
        "scheduler_api.broker.connection:Connection.write:after:3:KILL",
        "scheduler_api.broker.rabbitmq_transport:RabbitMQTransport._confirm:before:2:KILL",
        "scheduler_api.broker.publisher:Publisher.take_results:after:20:KILL",
        "scheduler_api.scheduler.store:Store.settle:before:2:KILL",
        "scheduler_api.scheduler.postgres_store:PostgresStore.mark_queued:after:2:KILL",
    ],
    "stock": [
        "celery.beat:Scheduler.apply_entry:before:7:KILL",
        "celery.beat:Scheduler.apply_entry:after:7:KILL",
        "django_celery_beat.schedulers:DatabaseScheduler.reserve:after:12:KILL",
    ],
}


@pytest.mark.control
def test_beat_killed_at_random_loses_no_slot(make_trial: TrialFactory, rng: random.Random) -> None:
    killed = make_trial("01 kill -9 at random")
    killed.start()
    killed.define(count=max(40, scaled(20)))
    killed.run_for(4)
    for _ in range(scaled(6)):
        killed.run_for(rng.uniform(0.1, 2))
        with killed.outage():
            killed.for_each_arm(lambda arm: arm.beat.kill())
            killed.restart()
    killed.run_for(2)

    killed.judge()


def test_beat_killed_at_each_step_loses_no_slot(make_trial: TrialFactory) -> None:
    killed = make_trial("01 kill -9 at each step")
    killed.start()
    killed.define(count=10)
    killed.run_for(3)
    with killed.outage():
        killed.for_each_arm(lambda arm: arm.beat.kill())
        for number in range(max(map(len, CRASH_POINTS.values()))):
            killed.for_each_arm(
                lambda arm, number=number: start_beat_with_crash_point(arm, number)
            )
            killed.for_each_arm(wait_until_dead)
        killed.restart()
    killed.run_for(2)

    killed.judge()


def start_beat_with_crash_point(arm: Arm, number: int) -> None:
    """Start a beat with the crash point of this number, if the arm has one."""
    for crash_point in CRASH_POINTS[arm.name][number : number + 1]:
        arm.beat.start(FAULTS_CRASH=crash_point)


def wait_until_dead(arm: Arm) -> None:
    wait_until(lambda: not arm.beat.is_alive(), timeout_seconds=30, details=arm.output)
    assert arm.beat.was_killed(), f"Beat ended without being killed:\n{arm.output()}"
