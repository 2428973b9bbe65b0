"""RabbitMQ accepts no messages because of its memory alarm, while beat is restarted."""

from tests.faults.overlapping import TrialFactory
from tests.faults.trial import scaled


def test_rabbitmq_blocked_by_memory_alarm_loses_no_slot(make_trial: TrialFactory) -> None:
    blocked = make_trial("04 RabbitMQ blocked by its memory alarm")
    blocked.start()
    blocked.define(count=scaled(20))
    blocked.run_for(4)
    with blocked.outage():
        blocked.site.rabbitmq.block()
        blocked.run_for(6)
        for arm in blocked.arms:
            is_stock = arm.name == "stock"
            assert arm.beat.stop(timeout_seconds=2 if is_stock else 15) or is_stock, arm.output()
        blocked.restart()
        blocked.run_for(2)
        blocked.site.rabbitmq.unblock()
    blocked.run_for(3)

    blocked.judge()
