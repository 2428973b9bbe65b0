"""Which columns mark a task stale when they change, and which do not."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.models import F, Model
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.models import ManagedTask
from tests.api.periodic_tasks.examples import stored
from tests.scheduler.agenda import settle, stale_names

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

# SQLite's clock has a resolution of a millisecond.
A_TICK = timedelta(milliseconds=1)
NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)

# Each column with a value other than that of `task`. A new column of django-celery-beat fails
# `test_each_column_is_classified` until it is listed here.
COUNTS: dict[type[Model], dict[str, Any]] = {
    PeriodicTask: {
        "name": "Another",
        "task": "project.tasks.import_contacts",
        "interval": None,
        "crontab": CrontabSchedule,
        "solar": SolarSchedule,
        "clocked": ClockedSchedule,
        "args": "[1]",
        "kwargs": '{"a": 1}',
        "queue": "other",
        "exchange": "other",
        "routing_key": "other",
        "headers": '{"a": 1}',
        "priority": 0,
        "expires": NOON,
        "expire_seconds": 0,
        "one_off": True,
        "start_time": NOON,
        "enabled": False,
    },
    IntervalSchedule: {"every": 31, "period": "minutes"},
    CrontabSchedule: {
        "minute": "1",
        "hour": "1",
        "day_of_month": "1",
        "month_of_year": "1",
        "day_of_week": "1",
        "timezone": ZoneInfo("Europe/Berlin"),
    },
    SolarSchedule: {"event": "sunrise", "latitude": 52.6, "longitude": 13.5},
    ClockedSchedule: {"clocked_time": NOON},
    ManagedTask: {"jitter_seconds": 5},
}
COUNTS_NOT: dict[type[Model], dict[str, Any]] = {
    PeriodicTask: {
        "last_run_at": NOON,
        "total_run_count": 7,
        "date_changed": NOON,
        "description": "other",
    },
    ManagedTask: {
        "owner": None,
        "managed_by": "manifest",
        "labels": {"a": "b"},
        "revision": 7,
        "misfire": "skip",
        "catchup_window_seconds": 7,
        "overlap": "skip",
        "max_runtime_seconds": 7,
        "max_attempts": 7,
        "retry_backoff_seconds": 7,
        "pause_after_failures": 7,
        "paused_at": NOON,
        "paused_until": NOON,
        "pause_note": "other",
        "enabled_on_resume": False,
        "resumed_at": NOON,
    },
}


def columns_of(table: dict[type[Model], dict[str, Any]]) -> Any:
    rows = [
        pytest.param(model, column, value, id=f"{model.__name__}.{column}")
        for model, columns in table.items()
        for column, value in columns.items()
    ]
    return pytest.mark.parametrize(("model", "column", "value"), rows)


def schedule(model: type[Model], number: int = 1) -> Any:
    values: dict[type[Model], dict[str, Any]] = {
        IntervalSchedule: {"every": 30, "period": "seconds"},
        CrontabSchedule: {"minute": "30"},
        SolarSchedule: {"event": "sunset", "latitude": number, "longitude": 13.4},
        ClockedSchedule: {"clocked_time": datetime(2100, 1, 1, tzinfo=UTC)},
    }
    return model.objects.create(**values[model])


def follower(name: str, row: Any) -> PeriodicTask:
    kind = type(row).__name__.removesuffix("Schedule").lower()
    task = stored(name=name, **{kind: row}, one_off=kind == "clocked")
    ManagedTask.objects.create(periodic_task=task)
    return task


def prepared(model: type[Model]) -> None:
    """Create two tasks on one row of this table, or of the intervals, and one on another."""
    kind = model if model.__name__.endswith("Schedule") else IntervalSchedule
    row, other = schedule(kind), schedule(kind, 2)
    for name, followed in {"one": row, "two": row, "three": other}.items():
        follower(name, followed)
    settle()


def write(model: type[Model], column: str, value: Any) -> None:
    """Change the task named "one", or its schedule."""
    if isinstance(value, type):
        value = schedule(value)
    task = PeriodicTask.objects.get(name="one")
    rows = {PeriodicTask: task.pk, ManagedTask: task.pk}
    pk = rows.get(model, task.scheduler.pk)
    assert model.objects.filter(pk=pk).update(**{column: value}) == 1


@pytest.mark.parametrize("model", COUNTS)
def test_each_column_is_classified(model):
    there = {field.name for field in model._meta.concrete_fields if not field.primary_key}

    assert there == COUNTS[model].keys() | COUNTS_NOT.get(model, {}).keys()


@columns_of(COUNTS)
def test_change_of_a_definition_column_marks_the_task_stale(model, column, value):
    prepared(model)

    write(model, column, value)

    follows = {"one"} if model in {PeriodicTask, ManagedTask} else {"one", "two"}
    assert {"one" if name == "Another" else name for name in stale_names()} == follows


@columns_of(COUNTS_NOT)
def test_change_of_another_column_marks_no_task_stale(model, column, value):
    prepared(model)

    write(model, column, value)

    assert stale_names() == []


@pytest.mark.parametrize("model", COUNTS)
def test_write_of_equal_values_marks_no_task_stale(model):
    prepared(model)

    assert model.objects.update(**{column: F(column) for column in COUNTS[model]})
    for row in model.objects.all():
        row.save()

    assert stale_names() == []


def test_change_from_null_to_empty_marks_the_task_stale():
    prepared(PeriodicTask)

    write(PeriodicTask, "queue", "")
    assert stale_names() == ["one"]
    settle()
    write(PeriodicTask, "queue", None)
    assert stale_names() == ["one"]


def test_jitter_marks_the_task_stale_with_insert_update_and_delete():
    prepared(ManagedTask)
    halves = ManagedTask.objects.filter(periodic_task__name="one")
    halves.delete()
    assert stale_names() == []

    one = PeriodicTask.objects.get(name="one")
    ManagedTask.objects.create(periodic_task=one, jitter_seconds=5)
    assert stale_names() == ["one"]
    settle()
    halves.delete()
    assert stale_names() == ["one"]


def test_stale_at_grows_with_each_change():
    prepared(PeriodicTask)
    seen = []

    for number in range(3):
        write(PeriodicTask, "args", f"[{number}]")
        seen.append(Agenda.objects.get(periodic_task__name="one").stale_at)
        while datetime.now(UTC) <= seen[-1] + A_TICK:
            pass

    assert seen == sorted(set(seen))
    assert abs(seen[-1] - datetime.now(UTC)).total_seconds() < 60


def test_stale_at_has_the_format_of_django():
    prepared(PeriodicTask)
    write(PeriodicTask, "args", "[1]")
    row = Agenda.objects.get(periodic_task__name="one")

    assert Agenda.objects.filter(stale=True, stale_at__lte=datetime.now(UTC)).get() == row
    assert Agenda.objects.filter(stale_at__gt=datetime.now(UTC)).count() == 0


def test_triggers_find_tasks_of_a_schedule_by_an_index():
    """A full scan would be too slow with a million tasks."""
    indexes = connection.introspection.get_constraints(
        connection.cursor(), PeriodicTask._meta.db_table
    )
    indexed = {tuple(index["columns"]) for index in indexes.values() if index["index"]}

    assert {(f"{kind}_id",) for kind in ("interval", "crontab", "solar", "clocked")} <= indexed
