"""Without a key all is refused, whatever is sent, and nothing changes (fuzzer.py)."""

from tests.contract.fuzzer import PHASES_WITHOUT_A_KEY, fuzz, patiently
from tests.journeys.service import Api

pytestmark = patiently
# All that is stored, but for how many failures to authenticate were counted.
DUMP = (
    *("dumpdata", "scheduler_api", "django_celery_beat"),
    "--exclude=scheduler_api.ratelimitwindow",
)


def test_all_is_refused(api_alone: Api) -> None:
    stored = api_alone.manage(*DUMP)

    run = fuzz(api_alone, phases=PHASES_WITHOUT_A_KEY)

    assert (run.code, run.failures) == (0, []), run.output
    assert len(run.exchanges) >= 400
    assert [exchange for exchange in run.exchanges if exchange.status != 401] == []
    assert api_alone.manage(*DUMP) == stored
