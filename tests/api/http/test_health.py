"""Health endpoints for probes: liveness and readiness."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError
from kombu import Connection
from rest_framework.test import APIClient

from scheduler_api.ops import views
from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.runs.outbox import Outbox
from scheduler_api.scheduler.heartbeat import Heartbeat
from tests.api.periodic_tasks.examples import stored

pytestmark = pytest.mark.both_databases

SECOND = timedelta(seconds=1)
NOBODY = "amqp://127.0.0.1:1//"


class DeadConnection:
    """A connection to a database that is gone."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def cursor(self):
        raise self.error


class LonelyApp:
    """A Celery app with a broker that is gone."""

    def connection_for_write(self, **options: object) -> Connection:
        return Connection(NOBODY, **options)


@pytest.fixture
def broker_is_gone(monkeypatch):
    monkeypatch.setattr(views, "current_app", LonelyApp())


@pytest.fixture
def database_is_gone(monkeypatch):
    error = OperationalError("server closed the connection unexpectedly")
    monkeypatch.setattr(views, "connection", DeadConnection(error))


def test_live_process_reports_alive():
    response = APIClient().get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_process_is_alive_without_database_and_broker(broker_is_gone, database_is_gone):
    assert APIClient().get("/healthz").status_code == 200


def test_process_is_ready_with_database_and_broker(api):
    response = api.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {
        "database": "ok",
        "broker": "ok",
        "beat": "no beat is running",
        "heartbeat_age_seconds": None,
        "oldest_overdue_seconds": None,
        "oldest_pending_seconds": None,
        "quarantined": 0,
        "queues": "ok",
    }


def test_readiness_reports_beats_state(api):
    now = datetime.now(UTC)
    task = stored()
    Agenda.objects.filter(pk=task.pk).update(due_at=now - 40 * SECOND, stale=False)
    Outbox.objects.create(run_ids=[], created_at=now - 20 * SECOND, retry_at=now)
    beat = Heartbeat()
    beat.write(now - 7 * SECOND, lag=SECOND, publish_error="")

    reported = api.get("/readyz").json()

    assert reported["beat"] == "ok"
    assert reported["heartbeat_age_seconds"] == pytest.approx(7, abs=2)
    assert reported["oldest_overdue_seconds"] == pytest.approx(40, abs=2)
    assert reported["oldest_pending_seconds"] == pytest.approx(20, abs=2)


@pytest.mark.parametrize(
    ("columns", "overdue"),
    [
        ({"slot_at": 70, "due_at": -3600}, 70),
        ({"slot_at": 70, "due_at": 5}, 70),
        ({"slot_at": None, "due_at": -3600, "stale_at": 90}, 90),
        ({"slot_at": -30, "due_at": -3600, "stale_at": 90}, None),
    ],
    ids=str,
)
def test_quarantined_task_counts_and_its_slot_is_overdue(api, columns, overdue):
    now = datetime.now(UTC)
    times = {name: ago and now - ago * SECOND for name, ago in columns.items()}
    Agenda.objects.filter(pk=stored(name="one").pk).update(
        stale=False, failures=3, last_error="There is no task.", **times
    )
    Agenda.objects.filter(pk=stored(name="other").pk).update(
        stale=False, slot_at=now + 60 * SECOND, due_at=now + 60 * SECOND
    )

    reported = api.get("/readyz").json()

    assert reported["quarantined"] == 1
    assert reported["oldest_overdue_seconds"] == (
        None if overdue is None else pytest.approx(overdue, abs=2)
    )


@pytest.mark.parametrize(
    ("seconds_ago", "trouble", "reported"),
    [
        (
            1,
            "RabbitMQ takes no messages: memory alarm",
            "RabbitMQ takes no messages: memory alarm",
        ),
        (60, "", "silent since 2"),
    ],
)
def test_beat_in_trouble_is_reported_and_the_api_stays_ready(api, seconds_ago, trouble, reported):
    Heartbeat().write(
        datetime.now(UTC) - seconds_ago * SECOND, lag=0 * SECOND, publish_error=trouble
    )

    response = api.get("/readyz")

    assert response.status_code == 200
    assert response.json()["beat"].startswith(reported)


def test_process_is_not_ready_without_a_database(api, database_is_gone):
    response = api.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"database": "no answer", "broker": "ok"}


def test_process_is_not_ready_without_a_broker(api, broker_is_gone):
    response = api.get("/readyz")

    assert response.status_code == 503
    assert response.json().items() >= {"database": "ok", "broker": "no answer"}.items()


def test_readiness_lists_all_failures(api, broker_is_gone, database_is_gone):
    response = api.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"database": "no answer", "broker": "no answer"}
