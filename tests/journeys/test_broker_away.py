"""Runs that are requested, or running, while RabbitMQ is down."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.servers import RabbitMQ, ServerNotInstalled
from tests.journeys.ledger import await_run, hourly, run_now, runs_of
from tests.journeys.service import Service
from tests.services import skip_or_fail

pytestmark = pytest.mark.timeout(300)  # its deadlines are shorter


@pytest.fixture
def rabbitmq() -> Iterator[RabbitMQ]:
    """A running RabbitMQ of the test's own."""
    try:
        server = RabbitMQ()
    except ServerNotInstalled as missing:
        skip_or_fail(str(missing))
    with closing(server):
        server.start()
        yield server


def test_runs_wait_for_the_broker_and_end_while_it_is_down(
    tmp_path: Path, rabbitmq: RabbitMQ, postgres_database: str
) -> None:
    urls = {"BROKER_URL": rabbitmq.url, "DATABASE_URL": postgres_database}
    with Service(tmp_path, **urls) as service:
        task_id = hourly(service, "add", args=[1], kwargs={"y": 1})
        running = run_now(service, hourly(service, "sleep", args=[2]))
        await_run(service, running, "running")

        rabbitmq.stop()
        asked = [run_now(service, task_id, kwargs={"y": y}) for y in (1, 2, 3)]
        assert await_run(service, running, "succeeded")["attempts"] == 1
        assert [run["state"] for run in runs_of(service, task_id)] == ["pending"] * 3

        rabbitmq.start()
        for run_id, result in zip(asked, (2, 3, 4), strict=True):
            run = await_run(service, run_id, "succeeded")
            assert (run["result"], run["attempts"]) == (result, 1)
        assert len(runs_of(service, task_id)) == 3
