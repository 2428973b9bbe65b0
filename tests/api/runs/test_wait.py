"""GET /api/v1/runs/{id}/?wait=."""

import threading
from time import monotonic

import pytest

from scheduler_api.runs import waiting
from scheduler_api.runs.models import Run
from tests.api.http.responses import refusal
from tests.api.runs.examples import address, entered

pytestmark = pytest.mark.both_databases


@pytest.fixture
def pauses(monkeypatch):
    """How often somebody has looked again; the run ends with the third pause."""
    taken: list[float] = []

    def pause(seconds: float) -> None:
        taken.append(seconds)
        if len(taken) == 3:
            Run.objects.update(state="succeeded")

    monkeypatch.setattr(waiting, "sleep", pause)
    return taken


@pytest.mark.parametrize("state", Run.ACTIVE)
def test_wait_returns_when_the_run_has_ended(api, pauses, state):
    response = api.get(address(entered(state=state)), {"wait": "30"})

    assert (response.status_code, response.json()["state"]) == (200, "succeeded")
    assert pauses == sorted(pauses)
    assert len(pauses) == 3


def test_wait_for_an_ended_run_returns_at_once(api, pauses):
    assert api.get(address(entered(state="failed")), {"wait": "30"}).json()["state"] == "failed"
    assert pauses == []


def test_wait_returns_an_active_run_after_its_seconds(api):
    began = monotonic()

    response = api.get(address(entered(state="running")), {"wait": "1"})

    assert response.json()["state"] == "running"
    assert 1 <= monotonic() - began < 5


def test_wait_returns_at_once_if_too_many_callers_wait(api, pauses, monkeypatch):
    monkeypatch.setattr(waiting, "seats", threading.BoundedSemaphore(1))
    run = entered(state="queued")

    with waiting.seats:
        assert api.get(address(run), {"wait": "30"}).json()["state"] == "queued"

    assert pauses == []
    assert api.get(address(run), {"wait": "30"}).json()["state"] == "succeeded"


@pytest.mark.parametrize("seconds", ["-1", "61", "1.5", "long", ""])
def test_wait_with_invalid_seconds_is_refused(api, seconds):
    assert refusal(api.get(address(entered()), {"wait": seconds})) == (400, "invalid_query")
