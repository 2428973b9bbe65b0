"""No fault: both arms are right, so that failures in the other tests are due to the faults."""

import pytest

from tests.faults.overlapping import TrialFactory
from tests.faults.trial import SECOND

pytestmark = [pytest.mark.calm, pytest.mark.control]


def test_both_arms_without_a_fault_are_right(make_trial: TrialFactory) -> None:
    healthy = make_trial("00 none")
    healthy.start()
    healthy.define(count=10, interval=3 * SECOND)
    healthy.run_for(10)

    healthy.finish()

    healthy.assert_ours_is_right()
    if report := healthy.reports.get("stock"):
        assert not report.bad_count(), report.failures
