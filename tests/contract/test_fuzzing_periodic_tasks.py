"""Nothing is found in the operations of periodic tasks (fuzzer.py)."""

from tests.contract.fuzzer import fuzz_operations, patiently
from tests.journeys.service import Api

pytestmark = patiently


def test_random_requests_find_no_fault(api_alone: Api) -> None:
    fuzz_operations(api_alone, of_periodic_tasks=True)
