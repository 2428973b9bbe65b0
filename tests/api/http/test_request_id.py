"""X-Request-Id on every response: the caller's if well-formed, else a new one."""

import uuid

import pytest

from tests.api.schedules.bodies import INTERVALS

PATHS = [INTERVALS, f"{INTERVALS}999/", "/api/nothing/", "/nothing/", "/healthz"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("sent", ["a", "6f1c5a52-58b2-4f0d", "Az09._:-", "x" * 128])
def test_well_formed_request_id_is_returned(api, path, sent):
    response = api.get(path, headers={"X-Request-Id": sent})

    assert response.headers["X-Request-Id"] == sent
    if response.status_code >= 400:
        assert response.json()["request_id"] == sent


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "sent",
    [
        "",
        " ",
        "a b",
        "x" * 129,
        "<script>",
        "a\tb",
        "a\nb",
        "a\r\nSet-Cookie: x=1",
        "é",
        "a,b",
        "a\n",
    ],
)
def test_malformed_request_id_is_replaced(api, path, sent):
    response = api.get(path, headers={"X-Request-Id": sent})

    assert uuid.UUID(response.headers["X-Request-Id"]).version == 4
    if response.status_code >= 400:
        assert response.json()["request_id"] == response.headers["X-Request-Id"]


@pytest.mark.parametrize("path", PATHS)
def test_request_without_an_id_gets_its_own(api, path):
    assert len({api.get(path).headers["X-Request-Id"] for _ in range(3)}) == 3


def test_refused_host_gets_a_request_id(api):
    response = api.get(INTERVALS, headers={"Host": "evil.example", "X-Request-Id": "abc"})

    assert response.headers["X-Request-Id"] == response.json()["request_id"] == "abc"


def test_server_error_gets_a_request_id(api, monkeypatch):
    def fail():
        raise RuntimeError

    api.raise_request_exception = False
    monkeypatch.setattr("scheduler_api.ops.views.database_answers", fail)

    response = api.get("/readyz", headers={"X-Request-Id": "abc"})

    assert response.status_code == 500
    assert response.headers["X-Request-Id"] == response.json()["request_id"] == "abc"
