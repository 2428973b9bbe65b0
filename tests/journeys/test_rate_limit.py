"""Two API processes that share only the database enforce one rate limit together."""

import copy
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.journeys.service import ROOT, Answer, Service, wait_for
from tests.ports import free_port

INDEX = "/api/v1/"
ACCOUNTS = "/api/v1/service-accounts/"
KEYS = "/api/v1/api-keys/"
LIMIT = 120
ENOUGH_SECONDS = 25
STANDING = re.compile(r'"account";r=(?P<remaining>\d+);t=(?P<seconds>\d+)')


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def services(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Service]]:
    """The whole service with one API process, and another API process beside it."""
    urls = {}
    if request.param == "PostgreSQL":
        urls["DATABASE_URL"] = request.getfixturevalue("postgres_database")
    with Service(tmp_path, API_PROCESSES="1", **urls) as first, beside(first) as second:
        yield [first, second]


@contextmanager
def beside(first: Service) -> Iterator[Service]:
    """Start another API process on the same database, on a port of its own."""
    second = copy.copy(first)
    second.port = free_port()
    second.address = f"http://127.0.0.1:{second.port}"
    with (first.key_file.parent / "second.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "project.wsgi"],
            cwd=ROOT,
            env={**first.environment, "PORT": str(second.port)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: answers(second), seconds=30)
        yield second
    finally:
        process.terminate()
        process.wait(30)


def answers(service: Service) -> bool:
    try:
        return service.call("GET", "/healthz")[0] == 200
    except OSError:
        return False


def seconds_left(answer: Answer) -> int:
    standing = STANDING.fullmatch(answer.headers["RateLimit"])
    assert standing, answer.headers["RateLimit"]
    return int(standing["seconds"])


def test_two_processes_grant_exactly_the_limit(services: list[Service]) -> None:
    first, second = services
    body = {"name": "hasty", "scopes": [], "requests_per_minute": LIMIT}
    _, account = first.call("POST", ACCOUNTS, body)
    _, made = second.call("POST", KEYS, {"service_account": account["id"], "expires_at": None})
    key = {"Authorization": f"Bearer {made['key']}"}

    def ask(number: int) -> Answer:
        return services[number % 2].send("GET", INDEX, headers=key)

    # The window is a calendar minute, the same for all accounts: all requests must fit into one.
    wait_for(
        lambda: seconds_left(first.send("GET", INDEX)) > ENOUGH_SECONDS,
        seconds=ENOUGH_SECONDS + 5,
    )
    with ThreadPoolExecutor(16) as threads:
        answered = list(threads.map(ask, range(2 * LIMIT)))

    assert seconds_left(answered[-1]) <= seconds_left(answered[0]), "the minute was over"
    statuses = [answer.status for answer in answered]
    assert set(statuses) == {200, 429}
    assert statuses.count(200) == LIMIT
    for service in services:
        refused = service.send("GET", INDEX, headers=key)
        assert (refused.status, refused.json["code"]) == (429, "too_many_requests")
        assert refused.headers["RateLimit-Policy"] == f'"account";q={LIMIT};w=60'
        assert refused.headers["RateLimit"].startswith('"account";r=0;t=')
        assert int(refused.headers["Retry-After"]) == seconds_left(refused)
        assert service.send("GET", INDEX).status == 200
