"""One entry of CELERY_BEAT_SCHEDULE: how it is stored, and its parts that beat ignores."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from celery.schedules import crontab, schedule
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from kombu import Queue

from scheduler_api.periodic_tasks.settings_entries import store_entries
from scheduler_api.schedules.tables import schedule_of
from tests.api.periodic_tasks.examples import TASKS

pytestmark = pytest.mark.django_db

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(monkeypatch: Any) -> Any:
    """Store an entry, as beat does at its start; return its periodic task, None if refused."""

    def store_entry(**entry: Any) -> PeriodicTask | None:
        entry = {"task": "project.tasks.heartbeat", "schedule": timedelta(hours=1), **entry}
        monkeypatch.setitem(current_app.conf, "beat_schedule", {"entry": entry})
        store_entries(current_app)
        return PeriodicTask.objects.filter(name="entry").first()

    return store_entry


@pytest.mark.parametrize(
    ("fields", "texts"),
    [
        ({"hour": [8, 20]}, {"minute": "*", "hour": "8,20"}),
        ({"minute": 0, "hour": {20, 8}}, {"minute": "0", "hour": "8,20"}),
        ({"hour": range(8, 20, 4), "day_of_week": (1,)}, {"hour": "8,12,16", "day_of_week": "1"}),
        ({"minute": "*/60", "hour": "*/24"}, {"minute": "*/60", "hour": "*/24"}),
        ({"minute": "0, 30", "month_of_year": 7}, {"minute": "0, 30", "month_of_year": "7"}),
    ],
)
def test_crontab_of_an_entry_is_stored_as_text(store, fields, texts):
    for _ in range(2):  # also when an equal row exists
        task = store(schedule=crontab(**fields))

    [row] = CrontabSchedule.objects.filter(pk=task.crontab_id)
    assert {name: getattr(row, name) for name in texts} == texts
    schedule_of(row, anchor=NOON)
    for name in fields:
        assert getattr(row.schedule, name) == getattr(crontab(**fields), name)
    assert CrontabSchedule.objects.filter(**texts).count() == 1


@pytest.mark.parametrize(
    ("every", "stored"),
    [
        (90, (90, "seconds")),
        (timedelta(minutes=2), (120, "seconds")),
        (1.5, (1_500_000, "microseconds")),
        (timedelta(milliseconds=2250), (2_250_000, "microseconds")),
        (schedule(30.25), (30_250_000, "microseconds")),
        (2147.5, (2147, "seconds")),
    ],
)
def test_interval_of_an_entry_keeps_its_fraction(store, every, stored):
    row = store(schedule=every).interval

    assert (row.every, row.period) == stored


@pytest.mark.parametrize(
    ("options", "columns"),
    [
        (None, {"expire_seconds": None, "queue": None, "headers": "{}"}),
        ({"expires": 1}, {"expire_seconds": 1}),
        ({"expires": 0.5}, {"expire_seconds": 1}),
        ({"expires": timedelta(minutes=1)}, {"expire_seconds": 60}),
        ({"expire_seconds": 5, "expires": 9}, {"expire_seconds": 5}),
        ({"queue": Queue("celery"), "priority": 3}, {"queue": "celery", "priority": 3}),
        ({"headers": {"tenant": "a"}}, {"headers": '{"tenant": "a"}'}),
        ({"exchange": "mine", "routing_key": "key"}, {"exchange": "mine", "routing_key": "key"}),
    ],
)
def test_options_of_an_entry_are_stored(store, options, columns):
    task = store(options=options)

    assert {name: getattr(task, name) for name in columns} == columns


@pytest.mark.parametrize(
    ("entry", "ignored"),
    [
        ({}, []),
        ({"options": {"expires": 1, "queue": "celery", "priority": 1}}, []),
        ({"options": {"countdown": 5, "serializer": "json"}},
         ["options.countdown", "options.serializer"]),
        ({"options": {"time_limit": 5, "link": None, "task_id": "1"}},
         ["options.link", "options.task_id", "options.time_limit"]),
        ({"options": {"expires": datetime(2030, 1, 1, tzinfo=UTC)}}, ["options.expires"]),
        ({"options": {"expires": 0}}, ["options.expires"]),
        ({"options": {"expires": float("inf")}}, ["options.expires"]),
        ({"options": {"expires": float("nan")}}, ["options.expires"]),
        ({"options": {"expires": 9, "expire_seconds": 5}}, ["options.expires"]),
        ({"schedule": 0.5}, []),
        ({"schedule": 3600.5}, ["schedule's fraction of a second"]),
        ({"relative": True}, ["relative"]),
        ({"schedule": schedule(60, relative=True)}, ["relative"]),
        ({"schedule": crontab(nowfun=lambda: NOON)}, ["schedule.nowfun"]),
    ],
)  # fmt: skip
def test_ignored_part_of_an_entry_is_logged_and_shown_on_its_task(
    api, store, caplog, entry, ignored
):
    store(**entry)

    [task] = api.get(f"{TASKS}?name=entry").json()["results"]
    shown = [each["detail"] for each in task["warnings"] if each["code"] == "ignored_setting"]
    sets = "CELERY_BEAT_SCHEDULE sets "
    assert [detail.removeprefix(sets).partition(", which")[0] for detail in shown] == ignored
    assert all(part in caplog.text for part in ignored)
    assert ("beat ignores" in caplog.text) is bool(ignored)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "sometimes",
        {"schedule": float("inf"), "options": []},
        {"schedule": float("nan"), "options": {1: 1, "a": 2}},
        {"schedule": 10**400},
    ],
)
def test_task_whose_entry_became_invalid_is_still_listed(api, store, monkeypatch, entry):
    store()
    monkeypatch.setitem(current_app.conf, "beat_schedule", {"entry": entry})

    response = api.get(f"{TASKS}?name=entry")

    assert response.status_code == 200
    assert [task["name"] for task in response.json()["results"]] == ["entry"]


def test_ignored_part_is_not_shown_on_a_task_that_is_no_longer_of_the_settings(api, store):
    task = store(options={"countdown": 5})
    task.managed.managed_by = "api"
    task.managed.save()

    warnings = api.get(f"{TASKS}{task.pk}/").json()["warnings"]

    assert "ignored_setting" not in [warning["code"] for warning in warnings]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"schedule": "sometimes"}, "sometimes"),
        ({"args": [object()]}, "not JSON serializable"),
        ({"unknown": 1}, "unknown"),
        ({"options": ["countdown"]}, "must be a mapping"),
    ],
)
def test_entry_that_cannot_be_stored_is_logged_with_the_reason(store, caplog, entry, reason):
    assert store(**entry) is None
    assert "entry cannot be stored" in caplog.text
    assert reason in caplog.text
