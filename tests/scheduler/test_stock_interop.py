"""The stock scheduler works on a database with our triggers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import connection
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from scheduler_api.periodic_tasks.agenda import Agenda
from tests.api.periodic_tasks.examples import stored
from tests.scheduler.agenda import ids, settle, stale_names

# The stock scheduler closes the connection, which would end a test's transaction.
pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def sent(monkeypatch: Any) -> list[str]:
    """Record the names of sent tasks in place of sending them."""
    names: list[str] = []

    def send(_: Any, entry: Any, **__: Any) -> Any:
        names.append(entry.name)
        return current_app.AsyncResult("an id")

    monkeypatch.setattr(DatabaseScheduler, "apply_async", send)
    return names


@pytest.fixture
def stock(monkeypatch: Any) -> DatabaseScheduler:
    """Return the stock scheduler with the stored tasks only."""
    for number in range(3):
        stored(name=f"Task {number}", last_run_at=LONG_AGO)
    monkeypatch.setattr(DatabaseScheduler, "setup_schedule", lambda _: None)
    scheduler = DatabaseScheduler(app=current_app)
    assert len(scheduler.schedule) == 3
    settle()
    return scheduler


def tick(scheduler: DatabaseScheduler) -> None:
    """Send due tasks, and write the scheduler's memory to the database."""
    for _ in scheduler.schedule:
        scheduler.tick()
    scheduler.sync()


def test_stock_scheduler_sends_and_its_writes_mark_no_task_stale(stock, sent):
    tick(stock)

    assert sorted(sent) == ["Task 0", "Task 1", "Task 2"]
    counts = PeriodicTask.objects.values_list("total_run_count", flat=True)
    assert list(counts) == [1, 1, 1]
    assert stale_names() == []


def test_task_disabled_by_the_stock_scheduler_is_stale(stock, sent):
    PeriodicTask.objects.filter(name="Task 1").update(one_off=True)
    settle()

    scheduler = DatabaseScheduler(app=current_app)
    tick(scheduler)
    for _ in range(3):
        for entry in scheduler.all_as_schedule().values():
            entry.is_due()

    assert sent.count("Task 1") == 1
    assert PeriodicTask.objects.get(name="Task 1").enabled is False
    assert stale_names() == ["Task 1"]


def test_stock_scheduler_notices_a_change(stock):
    task = PeriodicTask.objects.get(name="Task 1")
    task.interval, _ = IntervalSchedule.objects.get_or_create(every=1, period="days")
    task.save()
    stock._last_timestamp = datetime.now(UTC) - timedelta(hours=1)

    assert stock.schedule_changed()
    assert stock.all_as_schedule()["Task 1"].schedule.run_every == timedelta(days=1)


def test_settings_entry_of_the_stock_scheduler_is_in_the_agenda(monkeypatch):
    entry = {"task": "project.tasks.heartbeat", "schedule": timedelta(hours=1)}
    monkeypatch.setitem(current_app.conf, "beat_schedule", {"one": entry})

    DatabaseScheduler(app=current_app)
    names = list(PeriodicTask.objects.order_by("pk").values_list("name", flat=True))
    assert "one" in names
    assert len(ids()) == len(names)
    settle()
    DatabaseScheduler(app=current_app)

    assert stale_names() == [], "the same again is no change"


def test_stock_scheduler_ignores_the_agenda(stock, sent):
    Agenda.objects.update(due_at=datetime(2100, 1, 1, tzinfo=UTC), failures=7)

    tick(stock)

    assert len(sent) == 3
    assert set(Agenda.objects.values_list("failures", flat=True)) == {7}


def test_crontab_unreadable_for_the_stock_scheduler_does_not_break_the_triggers(stock):
    crontab = CrontabSchedule.objects.create(minute="30")
    stored(name="crontab", interval=None, crontab=crontab)
    settle()

    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_celery_beat_crontabschedule SET minute = '*/'")

    assert stale_names() == ["crontab"]
