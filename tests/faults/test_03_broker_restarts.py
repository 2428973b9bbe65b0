"""RabbitMQ is restarted, then killed and started again."""

import pytest

from tests.faults.overlapping import TrialFactory
from tests.faults.trial import scaled


@pytest.mark.control
def test_rabbitmq_restarted_and_killed_loses_no_slot(make_trial: TrialFactory) -> None:
    restarted = make_trial("03 RabbitMQ restarted, and killed")
    restarted.start()
    restarted.define(count=scaled(20))
    restarted.run_for(4)
    with restarted.outage(), restarted.site.wait_for_worker_to_reconnect():
        restarted.site.rabbitmq.stop()
        restarted.site.rabbitmq.start()
    restarted.run_for(3)
    with restarted.outage(), restarted.site.wait_for_worker_to_reconnect():
        restarted.site.rabbitmq.kill()
        restarted.site.rabbitmq.start()
    restarted.run_for(5)

    restarted.judge()
