"""Clients that never finish take nothing from others (project/server/)."""

import time
from http.client import HTTPConnection

import pytest

from benchmarks.slow_clients import Crowd
from tests.journeys.service import Api
from tests.server.api import running

# An answer takes milliseconds; without the bounds it would take the crowd's lifetime.
SOON = 10
CROWD = 500
HOURLY = {"type": "crontab", "minute": "0"}


def ask(api: Api, path: str) -> int:
    """Send a request on a new connection; return its status."""
    connection = HTTPConnection("127.0.0.1", api.port, timeout=SOON)
    headers = {"Authorization": f"Bearer {api.key_file.read_text().strip()}"}
    connection.request("GET", path, headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


# With the larger bound nobody gives way; 12 s are more than a head may take.
@pytest.mark.parametrize(("per_address", "seconds"), [("100", 4), ("1000", 12)])
def test_crowd_of_slow_clients_delays_neither_probes_nor_calls(tmp_path, per_address, seconds):
    with (
        running(tmp_path, API_CONNECTIONS_PER_ADDRESS=per_address) as api,
        Crowd(api.port, CROWD),
    ):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert ask(api, "/healthz") == 200
            assert ask(api, "/readyz") == 200
            assert ask(api, "/api/v1/periodic-tasks/") == 200
            status, _ = api.call("POST", "/api/v1/schedules/preview/", {"schedule": HOURLY})
            assert status == 200
