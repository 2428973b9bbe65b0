"""Without a fault both arms are right: what fails below fails for the fault."""

import pytest

from tests.faults.overlapping import TrialFactory
from tests.faults.trial import SECOND

pytestmark = [pytest.mark.calm, pytest.mark.control]


def test_nothing_is_wrong(make_trial: TrialFactory) -> None:
    healthy = make_trial("00 none")
    healthy.start()
    healthy.define(count=10, interval=3 * SECOND)
    healthy.run_for(10)

    healthy.finish()

    healthy.assert_ours_is_right()
    if report := healthy.reports.get("stock"):
        assert not report.bad_count(), report.failures
