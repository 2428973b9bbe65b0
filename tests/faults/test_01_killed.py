"""Beat is killed: at any moment, and at each step from a claim to its mark."""

import random

import pytest

from tests.faults.arm import Arm
from tests.faults.overlapping import Make
from tests.faults.processes import wait_until
from tests.faults.trial import scaled

pytestmark = pytest.mark.calm

# What is between a slot that is due and a row that says it was sent.
PLACES = {
    "ours": [
        "scheduler_api.scheduler.postgres_store:PostgresStore.write_claim:before:2:KILL",
        # Before the commit, and after it.
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
def test_at_random(trial: Make, chance: random.Random) -> None:
    killed = trial("01 kill -9 at random")
    killed.start()
    killed.define(count=max(40, scaled(20)))
    killed.run_for(4)
    for _ in range(scaled(6)):
        killed.run_for(chance.uniform(0.1, 2))
        with killed.outage():
            killed.each(lambda arm: arm.beat.kill())
            killed.restart()
    killed.run_for(2)

    killed.judge()


def test_at_each_step(trial: Make) -> None:
    killed = trial("01 kill -9 at each step")
    killed.start()
    killed.define(count=10)
    killed.run_for(3)
    with killed.outage():
        killed.each(lambda arm: arm.beat.kill())
        for number in range(max(map(len, PLACES.values()))):
            killed.each(lambda arm, number=number: die_at(arm, number))
            killed.each(wait_until_dead)
        killed.restart()
    killed.run_for(2)

    killed.judge()


def die_at(arm: Arm, number: int) -> None:
    """Start a beat that is to die at one of the places; none where there are no more."""
    for place in PLACES[arm.name][number : number + 1]:
        arm.beat.start(FAULTS_CRASH=place)


def wait_until_dead(arm: Arm) -> None:
    wait_until(lambda: not arm.beat.is_alive(), within=30, why=arm.output)
    assert arm.beat.was_killed(), f"It ended by itself:\n{arm.output()}"
