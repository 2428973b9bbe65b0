"""The scheduler in Celery's own beat service."""

import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from celery.beat import Service
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from scheduler_api.beat import DatabaseScheduler
from scheduler_api.scheduler import celery_scheduler as module
from scheduler_api.scheduler.models import BeatHeartbeat
from tests.api.periodic_tasks.examples import TASKS
from tests.scheduler.engines import FakePublisher

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


class StartedPublisher(FakePublisher):
    """A fake publisher with the constructor that the scheduler calls."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def start(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _fake_publisher(monkeypatch: Any):
    monkeypatch.setattr(module, "Publisher", StartedPublisher)
    # It has the test's transaction, which is rolled back afterwards.
    monkeypatch.setattr(connections[DEFAULT_DB_ALIAS], "close", lambda: None)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def service() -> Service:
    return Service(app=current_app, scheduler_cls=DatabaseScheduler)


@pytest.fixture
def scheduler() -> Iterator[DatabaseScheduler]:
    started = service().scheduler
    yield started
    started.close()


def test_scheduler_is_the_one_that_beat_runs():
    assert current_app.conf.beat_scheduler == "scheduler_api.beat:DatabaseScheduler"


ENTRY = {"task": "project.tasks.heartbeat", "schedule": timedelta(hours=1)}


@pytest.fixture
def entries(monkeypatch: Any) -> set[str]:
    """The names of the entries of CELERY_BEAT_SCHEDULE."""
    names = {"one", "two"}
    monkeypatch.setitem(current_app.conf, "beat_schedule", dict.fromkeys(names, ENTRY))
    return names


def test_service_runs_the_scheduler_until_a_signal(api, entries):
    beat = service()
    ticks = []
    tick = beat.scheduler.tick

    def stop_soon() -> float:
        ticks.append(tick())
        signal.raise_signal(signal.SIGTERM)
        return tick()

    beat.scheduler.tick = stop_soon
    beat.start()

    assert ticks == [0]
    names = {task["name"] for task in api.get(TASKS).json()["results"]}
    assert names == entries
    assert not BeatHeartbeat.objects.exists()


def test_banner_is_shown_without_starting_the_engine():
    before = threading.active_count()

    scheduler = service().get_scheduler(lazy=True)

    assert "db ->" in scheduler.info
    assert scheduler.schedule == {}
    assert threading.active_count() == before


def test_settings_entries_are_stored_once_the_database_answers(
    api, monkeypatch, scheduler, entries
):
    def fail(_: object) -> None:
        raise OperationalError("gone")

    store = module.store_entries
    monkeypatch.setattr(module, "store_entries", fail)
    assert scheduler.tick() == 0
    assert api.get(TASKS).json()["results"] == []

    monkeypatch.setattr(module, "store_entries", store)
    scheduler.tick()

    assert len(api.get(TASKS).json()["results"]) == len(entries)


def test_second_signal_stops_the_scheduler_at_once(scheduler):
    scheduler.ask_to_stop()

    with pytest.raises(SystemExit):
        scheduler.ask_to_stop()
