"""The thread of beat that prunes the ledger."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from django.db import OperationalError

from scheduler_api.runs.models import Run
from scheduler_api.scheduler import celery_scheduler
from scheduler_api.scheduler.pruning import Pruner

AT_ONCE = timedelta(0)
WAIT_SECONDS = 20


@pytest.fixture
def start() -> Iterator[Callable[[Callable[[], object]], Pruner]]:
    started: list[Pruner] = []

    def start_with(prune: Callable[[], object]) -> Pruner:
        pruner = Pruner(prune, first_delay=AT_ONCE, interval=AT_ONCE)
        started.append(pruner)
        pruner.start()
        return pruner

    yield start_with
    for pruner in started:
        pruner.stop()
        assert not pruner.is_alive()


@pytest.mark.parametrize("error", [OperationalError("gone"), KeyError("a bug")], ids=repr)
def test_pruner_goes_on_after_an_error(start, error, caplog):
    calls: list[int] = []
    has_gone_on = Event()

    def prune() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise error
        has_gone_on.set()

    start(prune)

    assert has_gone_on.wait(WAIT_SECONDS)
    assert "Old runs" in caplog.text


def test_pruner_stops_before_its_first_call():
    calls: list[int] = []
    pruner = Pruner(lambda: calls.append(1))
    pruner.start()

    pruner.stop()

    assert not pruner.is_alive()
    assert calls == []


@pytest.mark.django_db(transaction=True)  # the pruner closes its connection
def test_beat_prunes_old_runs_and_ends_the_thread(monkeypatch: Any, settings: Any):
    started: list[Any] = []

    class ByHand(Pruner):
        def start(self) -> None:
            started.append(self)

        def stop(self) -> None:
            started.remove(self)

    monkeypatch.setattr(celery_scheduler, "Pruner", ByHand)
    monkeypatch.setattr(celery_scheduler, "Publisher", lambda *_, **__: _Publisher())
    scheduler = celery_scheduler.DatabaseScheduler(app=celery_scheduler.symbol_by_name(APP))
    old = datetime.now(UTC) - timedelta(days=settings.RUN_RETENTION_DAYS + 1)
    Run.objects.create(
        id="00000000-0000-0000-0000-000000000001",
        periodic_task_id=1,
        due_at=old,
        created_at=old,
        state="succeeded",
    )

    started[0]._prune()
    scheduler.close()

    assert not Run.objects.exists()
    assert started == []


APP = "project.celery:app"


class _Publisher:
    def start(self) -> None: ...

    def close(self, *, timeout_seconds: float) -> None: ...

    def take_results(self) -> list[Any]:
        return []
