"""Nothing is found in operations that follow each other, of all kinds (fuzzer.py)."""

from tests.contract.fuzzer import fuzz, key_of, patiently
from tests.journeys.service import Api

pytestmark = patiently


def test_random_stories_find_no_fault(api_alone: Api) -> None:
    run = fuzz(api_alone, phases=["stateful"], key=key_of(api_alone))

    assert (run.code, run.failures) == (0, []), run.output
    assert "stateful" in run.phases
    assert len(run.exchanges) >= 100
