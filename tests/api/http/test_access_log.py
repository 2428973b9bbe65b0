"""The access log: one line per request."""

import logging

import pytest
from rest_framework.test import APIClient

from scheduler_api.http.middleware import current_request_id
from tests.api.schedules.bodies import INTERVALS

LOGGER = "scheduler_api.http.middleware"


@pytest.fixture
def lines(caplog):
    """Return the access log lines so far."""
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
def test_request_is_logged_in_one_line(api, lines, method, path, status):
    response = getattr(api, method)(path, headers={"X-Request-Id": "abc"})

    assert response.status_code == status
    (line,) = lines()
    assert line.levelno == logging.INFO
    assert line.getMessage().startswith(f"{method.upper()} {path} {status} ")
    assert line.getMessage().endswith(" ms client=127.0.0.1")
    assert line.members.keys() == {"event", "method", "path", "status", "duration_ms", "client"}
    assert current_request_id.get() == "abc"


def test_query_string_is_not_logged(api, lines, canary):
    api.get(f"{INTERVALS}?token={canary}")

    (line,) = lines()
    assert canary not in str(vars(line))


def test_path_cannot_forge_a_log_line(api, lines):
    api.get("/nothing%0A2026-01-01 INFO forged")

    (line,) = lines()
    assert line.getMessage().startswith("GET /nothing%0A2026-01-01%20INFO%20forged 404 ")


@pytest.mark.parametrize(
    ("proxies", "forwarded", "client"),
    [
        (0, "1.1.1.1", "10.0.0.1"),
        (1, "1.1.1.1", "1.1.1.1"),
        (1, " 2.2.2.2 ,\t1.1.1.1 ", "1.1.1.1"),
        (1, "2001:DB8:0::1", "2001:db8::1"),
        (1, "fe80::1%forged", "fe80::1"),
        (1, "", "10.0.0.1"),
        (1, "1.1.1.1,", "10.0.0.1"),
        (1, "unknown", "10.0.0.1"),
        (1, "1.1.1.1:80", "10.0.0.1"),
        (1, "1.1.1.256", "10.0.0.1"),
        (2, "1.1.1.1", "10.0.0.1"),
        (2, "3.3.3.3, 2.2.2.2, 1.1.1.1", "2.2.2.2"),
    ],
)
def test_client_is_the_address_that_trusted_proxies_report(
    lines, settings, proxies, forwarded, client
):
    settings.PROXIES = proxies

    APIClient().get("/healthz", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": forwarded})

    (line,) = lines()
    assert line.members["client"] == client


def test_client_without_the_header_is_the_peer(lines, settings):
    settings.PROXIES = 1

    APIClient().get("/healthz", REMOTE_ADDR="10.0.0.1")

    (line,) = lines()
    assert line.members["client"] == "10.0.0.1"


def test_server_error_is_logged_with_its_request_id(api, lines, monkeypatch):
    def fail():
        raise RuntimeError

    api.raise_request_exception = False
    monkeypatch.setattr("scheduler_api.ops.views.database_answers", fail)

    api.get("/readyz", headers={"X-Request-Id": "abc"})

    (line,) = lines()
    assert line.getMessage().startswith("GET /readyz 500 ")
