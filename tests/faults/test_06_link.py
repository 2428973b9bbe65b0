"""Beat's connections to RabbitMQ and PostgreSQL are frozen, then cut."""

import pytest

from tests.faults.overlapping import TrialFactory
from tests.faults.proxy import Proxy
from tests.faults.trial import SCALE, scaled

pytestmark = pytest.mark.calm

# The long form exceeds every timeout of beat.
FREEZE_SECONDS = 4 if SCALE <= 1 else 75


def test_connections_frozen_and_cut_lose_no_slot(make_trial: TrialFactory) -> None:
    linked = make_trial("06 links frozen, and cut")
    site = linked.site
    with Proxy(site.rabbitmq.port) as to_broker, Proxy(site.postgres.port) as to_database:
        for arm in linked.arms:
            arm.add_beat(
                BROKER_URL=site.rabbitmq.url_at(to_broker.port),
                DATABASE_URL=site.postgres.url_of(arm.database, port=to_database.port),
            ).start()
        linked.wait_until_up()
        linked.define(count=scaled(20))
        linked.run_for(4)
        for link in (to_broker, to_database):
            with linked.outage():
                link.freeze()
                linked.run_for(FREEZE_SECONDS)
                link.thaw()
            linked.run_for(1)
            with linked.outage():
                link.freeze()
                linked.run_for(3)
                link.cut()
                link.restore()
            linked.run_for(2)

        linked.judge()
