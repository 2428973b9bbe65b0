"""One line of the log per request."""

import logging

import pytest

from scheduler_api.http.middleware import current_request_id
from tests.api.schedules.bodies import INTERVALS

LOGGER = "scheduler_api.http.middleware"


@pytest.fixture
def lines(caplog):
    """Return what was logged of requests so far."""
    caplog.set_level(logging.INFO)
    return lambda: [record for record in caplog.records if record.name == LOGGER]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", INTERVALS, 200),
        ("post", INTERVALS, 400),
        ("delete", f"{INTERVALS}999/", 404),
        ("get", "/api/nothing/", 404),
        ("get", "/nothing/", 404),
        ("get", "/healthz", 200),
    ],
)
def test_a_request_is_one_line(api, lines, method, path, status):
    response = getattr(api, method)(path, headers={"X-Request-Id": "abc"})

    assert response.status_code == status
    (line,) = lines()
    assert line.levelno == logging.INFO
    assert line.getMessage().startswith(f"{method.upper()} {path} {status} ")
    assert line.getMessage().endswith(" ms")
    assert line.members.keys() == {"method", "path", "status", "duration_ms"}
    assert current_request_id.get() == "abc"


def test_the_query_string_is_not_logged(api, lines):
    api.get(f"{INTERVALS}?token=hunter2")

    (line,) = lines()
    assert "hunter2" not in str(vars(line))


def test_a_path_cannot_forge_a_line(api, lines):
    api.get("/nothing%0A2026-01-01 INFO forged")

    (line,) = lines()
    assert line.getMessage().startswith("GET /nothing%0A2026-01-01%20INFO%20forged 404 ")


def test_what_breaks_is_logged_with_its_id(api, lines, monkeypatch):
    def fail():
        raise RuntimeError

    api.raise_request_exception = False
    monkeypatch.setattr("scheduler_api.ops.views.database_answers", fail)

    api.get("/readyz", headers={"X-Request-Id": "abc"})

    (line,) = lines()
    assert line.getMessage().startswith("GET /readyz 500 ")
