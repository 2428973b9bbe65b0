"""Our scheduler on django-celery-beat's real one: what a pause changes, and nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import OperationalError
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler as StockScheduler

from scheduler_api.beat import DatabaseScheduler
from scheduler_api.beat import scheduler as module
from tests.api.periodic_tasks.examples import TASKS, heartbeat, spoil, stored

pytestmark = pytest.mark.django_db

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURLY = {"type": "interval", "every": 1, "period": "hours"}


@pytest.fixture(autouse=True)
def _at_noon(time_machine: Any):
    time_machine.move_to(NOON, tick=False)


@pytest.fixture
def hourly(api) -> PeriodicTask:
    """An hourly periodic task that has run ten hours ago."""
    pk = api.post(TASKS, heartbeat(schedule=HOURLY)).json()["id"]
    task = PeriodicTask.objects.get(pk=pk)
    spoil(task, last_run_at=NOON - 10 * HOUR)
    return task


def scheduler(of: type = DatabaseScheduler) -> Any:
    return of(app=current_app, lazy=True)


def is_due(of: type = DatabaseScheduler) -> bool:
    [entry] = scheduler(of).schedule.values()
    return entry.is_due().is_due


def test_what_is_paused_is_not_loaded(api, hourly):
    api.post(f"{TASKS}{hourly.pk}/pause/")

    assert scheduler().schedule == {}
    assert scheduler(StockScheduler).schedule == {}


def test_what_resumes_does_not_run_at_once(api, hourly, time_machine):
    assert is_due()
    api.post(f"{TASKS}{hourly.pk}/pause/")
    api.post(f"{TASKS}{hourly.pk}/resume/")

    assert not is_due()
    assert is_due(StockScheduler), "there would be nothing to override"
    time_machine.move_to(NOON + HOUR, tick=False)
    assert is_due()


def test_a_moment_that_passed_during_a_pause_is_over(api, time_machine):
    clocked = ClockedSchedule.objects.create(clocked_time=NOON + HOUR)
    task = stored(clocked=clocked, one_off=True)
    api.post(f"{TASKS}{task.pk}/pause/")
    time_machine.move_to(NOON + 2 * HOUR, tick=False)
    api.post(f"{TASKS}{task.pk}/resume/")

    assert not is_due()
    assert is_due(StockScheduler), "there would be nothing to override"


def test_a_moment_after_a_pause_is_served(api, time_machine):
    clocked = ClockedSchedule.objects.create(clocked_time=NOON + HOUR)
    task = stored(clocked=clocked, one_off=True)
    api.post(f"{TASKS}{task.pk}/pause/")
    api.post(f"{TASKS}{task.pk}/resume/")
    time_machine.move_to(NOON + 2 * HOUR, tick=False)

    assert is_due()


def test_a_tick_ends_the_pauses_that_are_over(api, hourly, time_machine):
    at = f"{TASKS}{hourly.pk}/"
    api.post(f"{at}pause/", {"until": "2027-06-01T13:00:00Z"})
    beat = scheduler()

    beat.tick()
    assert api.get(at).json()["paused"] is True
    time_machine.move_to(NOON + HOUR, tick=False)
    beat.tick()

    assert api.get(at).json()["paused"] is False
    assert beat.schedule.keys() == {"Heartbeat"}
    assert api.get(at).json()["next_run_at"] == "2027-06-01T14:00:00Z"


def test_a_database_that_does_not_answer_does_not_end_it(monkeypatch, caplog, hourly):
    def fail(**_: object) -> None:
        raise OperationalError("gone")

    spoil(hourly, last_run_at=NOON)
    monkeypatch.setattr(module, "resume_due", fail)

    scheduler().tick()

    assert "gone" in caplog.text


def test_all_entries_are_read_in_the_queries_of_the_stock_scheduler(
    django_assert_num_queries, django_assert_max_num_queries
):
    crontab = CrontabSchedule.objects.create(minute="30")
    for number in range(20):
        stored(name=f"Task {number}", crontab=crontab)

    with django_assert_max_num_queries(5) as stock:
        assert len(scheduler(StockScheduler).schedule) == 20
    with django_assert_num_queries(len(stock)):
        assert len(scheduler().schedule) == 20


# --- CELERY_BEAT_SCHEDULE -------------------------------------------------------------------


@pytest.fixture
def start(monkeypatch: Any) -> Any:
    """Start beat with these names in the settings."""

    def start_with(*names: str) -> None:
        entry = {"task": "project.tasks.heartbeat", "schedule": timedelta(hours=1)}
        monkeypatch.setitem(current_app.conf, "beat_schedule", dict.fromkeys(names, entry))
        DatabaseScheduler(app=current_app)

    return start_with


def standing(api: Any) -> dict[str, tuple[str, bool]]:
    results = api.get(TASKS).json()["results"]
    return {task["name"]: (task["managed_by"], task["enabled"]) for task in results}


def test_entries_of_the_settings_are_managed_by_them(api, start):
    stored(name="by hand")

    start("one", "two")

    assert standing(api) == {
        "by hand": ("admin", True),
        "one": ("settings", True),
        "two": ("settings", True),
    }


def test_an_entry_that_is_removed_is_disabled_and_one_that_returns_enabled(api, start, caplog):
    start("one", "two")

    start("one")
    assert standing(api) == {"one": ("settings", True), "two": ("admin", False)}
    assert "Disabling two" in caplog.text

    start("one", "two")
    assert standing(api) == {"one": ("settings", True), "two": ("settings", True)}


def test_an_entry_that_somebody_disabled_stays_so(api, start):
    start("one")
    pk = PeriodicTask.objects.get(name="one").pk
    api.patch(f"{TASKS}{pk}/", {"enabled": False})

    start("one")

    assert standing(api) == {"one": ("settings", False)}


def test_what_was_disabled_before_anybody_asked_who_manages_it_stays_so(api, start):
    stored(name="one", enabled=False)

    start("one")

    assert standing(api) == {"one": ("settings", False)}


def test_one_that_is_paused_is_disabled_for_when_it_resumes(api, start):
    start("one")
    at = f"{TASKS}{PeriodicTask.objects.get(name='one').pk}/"
    api.post(f"{at}pause/")

    start()
    assert (api.get(at).json()["paused"], standing(api)["one"]) == (True, ("admin", False))

    start("one")
    assert (api.get(at).json()["paused"], standing(api)["one"]) == (True, ("settings", True))
    assert api.post(f"{at}resume/").json()["enabled"] is True


def test_what_an_account_owns_is_not_enabled_by_the_settings(api, start):
    api.post(TASKS, heartbeat(name="one", enabled=False))

    start("one")

    assert standing(api) == {"one": ("settings", False)}
