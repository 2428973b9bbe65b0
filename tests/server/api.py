"""The API in processes of its own, for raw bytes."""

from pathlib import Path

from tests.journeys.service import Api


def running(folder: Path, **settings: str) -> Api:
    """Return the API, to be started in a `with`, without limits that the tests would meet."""
    limits = dict.fromkeys(("RATE_LIMIT", "FAILED_AUTHENTICATION_LIMIT"), "1000000")
    return Api(folder, **limits, **settings)
