"""The two addresses that probes ask: is the process alive, can it do its work?"""

import pytest
from django.db import OperationalError
from kombu import Connection
from rest_framework.test import APIClient

from scheduler_api.ops import views

NOBODY = "amqp://127.0.0.1:1//"


class DeadConnection:
    """A connection to a database that has gone away."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def cursor(self):
        raise self.error


class LonelyApp:
    """A Celery app whose broker listens no more."""

    def connection_for_write(self, **options: object) -> Connection:
        return Connection(NOBODY, **options)


@pytest.fixture
def broker_is_gone(monkeypatch):
    monkeypatch.setattr(views, "current_app", LonelyApp())


@pytest.fixture
def database_is_gone(monkeypatch):
    error = OperationalError("server closed the connection unexpectedly")
    monkeypatch.setattr(views, "connection", DeadConnection(error))


def test_a_process_that_is_alive_says_so():
    response = APIClient().get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_a_process_is_alive_without_a_database_or_a_broker(broker_is_gone, database_is_gone):
    assert APIClient().get("/healthz").status_code == 200


def test_a_process_is_ready_when_database_and_broker_answer(api):
    response = api.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {"database": "ok", "broker": "ok"}


def test_it_is_not_ready_without_a_database(api, database_is_gone):
    response = api.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"database": "no answer", "broker": "ok"}


def test_it_is_not_ready_without_a_broker(api, broker_is_gone):
    response = api.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"database": "ok", "broker": "no answer"}


def test_it_says_all_that_is_missing(api, broker_is_gone, database_is_gone):
    response = api.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"database": "no answer", "broker": "no answer"}
