"""Unroutable messages do not affect other messages of the same batch."""

from datetime import UTC, datetime

import pytest

from tests.faults.overlapping import TrialFactory
from tests.faults.trial import scaled

pytestmark = pytest.mark.calm


def test_unroutable_messages_do_not_affect_other_messages(
    make_trial: TrialFactory,
) -> None:
    routed = make_trial("05 no route, no exchange")
    routed.start()
    routed.define("neighbour", count=scaled(98))
    nowhere = {"is_routable": False, "routing_key": "nowhere"}
    routed.define("returned", exchange="amq.direct", **nowhere)
    routed.define("refused", exchange="faults-none", **nowhere)
    routed.run_for(8)
    until = datetime.now(UTC)

    routed.run_for(10)  # longer than the back-off after the fourth failure in a row

    routed.finish(until=until)
    routed.assert_ours_is_right()
    routed.assert_stock_fails()
