"""Beats, servers and connections break at random, one or two at a time.

Only in the long form: it takes minutes, and finds combinations that no other test covers.
"""

import random
from collections.abc import Callable

import pytest

from tests.faults.arm import Arm
from tests.faults.overlapping import TrialFactory
from tests.faults.proxy import Proxy
from tests.faults.trial import SCALE, Trial, scaled

pytestmark = pytest.mark.skipif(
    SCALE <= 1, reason="Takes minutes; runs only with FAULT_SCALE above 1"
)

BEATS = 2
Repair = Callable[[], object]


class Nemesis:
    """Injects random faults and repairs them; each fault returns its repair."""

    def __init__(self, trial: Trial, rng: random.Random, links: list[Proxy]) -> None:
        self.trial, self.rng, self.links = trial, rng, links

    def strike(self) -> None:
        """Inject one or two faults, wait, then repair them in reverse order."""
        faults = self.rng.sample(self.faults(), self.rng.choice([1, 1, 2]))
        repairs = [inject() for inject in faults]
        self.trial.run_for(self.rng.uniform(0.2, 6))
        for repair in reversed(repairs):
            repair()
        self.trial.restart()

    def faults(self) -> list[Callable[[], Repair]]:
        return [
            self.kill_beat,
            self.pause_beat,
            self.stop_beat,
            self.freeze_link,
            self.cut_link,
            self.stop_database,
            self.kill_broker,
            self.block_broker,
        ]

    def kill_beat(self) -> Repair:
        number = self.rng.randrange(BEATS)
        self.trial.for_each_arm(lambda arm: arm.beats[number].kill())
        return lambda: None

    def stop_beat(self) -> Repair:
        number = self.rng.randrange(BEATS)
        self.trial.for_each_arm(lambda arm: arm.beats[number].stop(timeout_seconds=1))
        return lambda: None

    def pause_beat(self) -> Repair:
        number = self.rng.randrange(BEATS)
        self.trial.for_each_arm(lambda arm: arm.beats[number].pause())
        return lambda: self.trial.for_each_arm(lambda arm: arm.beats[number].resume())

    def freeze_link(self) -> Repair:
        link = self.rng.choice(self.links)
        link.freeze()
        return link.thaw

    def cut_link(self) -> Repair:
        link = self.rng.choice(self.links)
        link.cut()
        return link.restore

    def stop_database(self) -> Repair:
        self.trial.site.postgres.stop_immediately()
        return self.trial.site.postgres.start

    def kill_broker(self) -> Repair:
        self.trial.site.rabbitmq.kill()
        return self.trial.site.rabbitmq.start

    def block_broker(self) -> Repair:
        rabbitmq = self.trial.site.rabbitmq
        if not rabbitmq.is_alive():
            return lambda: None
        rabbitmq.block()
        return lambda: rabbitmq.is_alive() and rabbitmq.unblock()


def test_random_faults_lose_no_slot(make_trial: TrialFactory, rng: random.Random) -> None:
    random_faults = make_trial("13 at random")
    site = random_faults.site
    with Proxy(site.rabbitmq.port) as to_broker, Proxy(site.postgres.port) as to_database:
        for arm in random_faults.arms:
            add_beats(arm, to_broker, to_database)
        random_faults.restart()
        random_faults.define(count=scaled(3))
        random_faults.run_for(4)
        nemesis = Nemesis(random_faults, rng, [to_broker, to_database])
        # Counts as one outage: the test is only about lost and doubled slots.
        with random_faults.outage():
            for _ in range(scaled(4)):
                random_faults.run_for(rng.uniform(0, 3))
                nemesis.strike()
        random_faults.run_for(20)

        random_faults.judge()


def add_beats(arm: Arm, to_broker: Proxy, to_database: Proxy) -> None:
    site = arm.site
    for _ in range(BEATS):
        arm.add_beat(
            BROKER_URL=site.rabbitmq.url_at(to_broker.port),
            DATABASE_URL=site.postgres.url_of(arm.database, port=to_database.port),
        )
