"""Rows, written past the API, that stop stock beat: here, each is quarantined with a reason."""

from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django_celery_beat.models import (
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs import message_options
from tests.catalogue.workers import send_report, start_worker
from tests.scheduler.engines import HOUR, MINUTE, NOON, SECOND, TestedEngine

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

IN_POSTGRES = {"start_time": "infinity", "expires": "-infinity"}
IN_SQLITE = {"start_time": "2027-13-45 12:00:00", "priority": "high"}


@pytest.fixture
def beat(time_machine: Any) -> TestedEngine:
    time_machine.move_to(NOON, tick=False)
    return TestedEngine()


@pytest.fixture
def good() -> PeriodicTask:
    return stored("good")


@pytest.fixture
def bad() -> PeriodicTask:
    return stored("bad")


def stored(name: str) -> PeriodicTask:
    interval = IntervalSchedule.objects.create(every=10, period="seconds")
    return PeriodicTask.objects.create(
        name=name, task="project.tasks.heartbeat", interval=interval, date_changed=NOON
    )


def others_run(beat: TestedEngine) -> bool:
    beat.run()
    return ("good", NOON + 10 * SECOND) in beat.run(at=NOON + 10 * SECOND)


def error_of(task: PeriodicTask) -> str:
    return Agenda.objects.get(pk=task.pk).last_error


@pytest.mark.parametrize(
    "columns",
    [
        {"headers": "[]"},
        {"headers": '"x"'},
        {"headers": "{"},
        {"headers": '{"task": "project.tasks.fail"}'},
        {"headers": '{"id": "mine"}'},
        {"headers": '{"retries": 3}'},
        {"args": '{"a": 1}'},
        {"args": '"abc"'},
        {"args": "5"},
        {"args": "[1"},
        {"kwargs": "[1]"},
        {"kwargs": "{"},
        {"queue": "nobody-declared-it"},
        {"exchange": "anywhere"},
        {"task": "no.such.task"},
        {"task": "celery.chord", "args": "[]"},
        {"priority": 1000},
        {"interval": None},
    ],
    ids=str,
)
def test_unsendable_task_is_quarantined_alone(beat, good, bad, columns):
    start_worker(send_report)
    PeriodicTask.objects.filter(pk=bad.pk).update(**columns)

    assert others_run(beat)

    assert error_of(bad)
    assert {run.periodic_task_name for run in beat.publisher.sent} == {"good"}


@pytest.mark.parametrize("overlap", ManagedTask.Overlap.values)
def test_unsendable_task_of_each_overlap_policy_is_quarantined_alone(beat, good, bad, overlap):
    ManagedTask.objects.create(periodic_task=bad, overlap=overlap)
    PeriodicTask.objects.filter(pk=bad.pk).update(queue="nobody-declared-it")

    assert others_run(beat)

    assert error_of(bad)
    assert {run.periodic_task_name for run in beat.publisher.sent} == {"good"}


@pytest.mark.parametrize("overlap", ManagedTask.Overlap.values)
def test_claim_checks_each_task_once(beat, good, bad, overlap, monkeypatch):
    """A refusal by a second check, outside the quarantine, would fail the whole tick."""
    ManagedTask.objects.create(periodic_task=bad, overlap=overlap)
    beat.run()
    checked: list[str] = []

    def problem_with(row: Any, **_: object) -> str:
        checked.append(row.name)
        return "It was checked before." if checked.count(row.name) > 1 else ""

    monkeypatch.setattr(message_options, "problem_with", problem_with)

    sent = beat.run(at=NOON + 10 * SECOND)

    assert sent == [("bad", NOON + 10 * SECOND), ("good", NOON + 10 * SECOND)]
    assert sorted(checked) == ["bad", "good"]
    assert error_of(bad) == ""


@pytest.mark.parametrize(
    ("every", "period"),
    [
        (2147483647, "days"),
        (1, "microseconds"),
        (0, "seconds"),
        (-5, "seconds"),
        (1, "fortnights"),
    ],
)
def test_invalid_interval_is_quarantined_alone(beat, good, bad, every, period):
    IntervalSchedule.objects.filter(pk=bad.interval_id).update(every=every, period=period)

    assert others_run(beat)
    assert error_of(bad)


@pytest.mark.parametrize(
    "columns",
    [
        {"minute": ""},
        {"minute": "*/"},
        {"minute": "-1"},
        {"hour": "25"},
        {"day_of_month": "31", "month_of_year": "2"},
        {"timezone": "Mars/Olympus"},
    ],
    ids=str,
)
def test_invalid_crontab_is_quarantined_alone(beat, good, bad, columns):
    crontab = CrontabSchedule.objects.create()
    follow(bad, crontab=crontab)
    written = {"minute": "0", **columns}
    zone = written.pop("timezone", None)
    CrontabSchedule.objects.filter(pk=crontab.pk).update(**written)
    if zone:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE django_celery_beat_crontabschedule SET timezone = %s", [zone])

    assert others_run(beat)
    assert error_of(bad)


def test_unknown_solar_event_is_quarantined_alone(beat, good, bad):
    solar = SolarSchedule.objects.create(event="sunrise", latitude=0, longitude=0)
    follow(bad, solar=solar)
    SolarSchedule.objects.filter(pk=solar.pk).update(event="moonrise")

    assert others_run(beat)
    assert error_of(bad)


def follow(task: PeriodicTask, **schedule: Any) -> None:
    PeriodicTask.objects.filter(pk=task.pk).update(**{"interval": None, **schedule})


@pytest.mark.parametrize(
    ("column", "value"),
    (IN_POSTGRES if connection.vendor == "postgresql" else IN_SQLITE).items(),
)
def test_unreadable_row_is_quarantined_alone(beat, good, bad, column, value):
    beat.run()
    write(bad, column, value)

    assert others_run(beat)
    assert error_of(bad)

    write(bad, column, None)  # the search for secrets after each test cannot read it either


def write(task: PeriodicTask, column: str, value: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE django_celery_beat_periodictask SET {column} = %s WHERE id = %s",
            [value, task.pk],
        )


def test_quarantined_task_backs_off_and_is_planned_at_once_after_a_correction(beat, bad):
    PeriodicTask.objects.filter(pk=bad.pk).update(queue="nobody-declared-it")
    beat.run()
    tries = []
    for minutes in range(600):
        beat.run(at=NOON + minutes * MINUTE)
        failures = Agenda.objects.get(pk=bad.pk).failures
        if len(tries) < failures:
            tries.append(minutes)

    assert tries[:6] == [1, 2, 3, 5, 9, 17]
    assert max(after - before for before, after in pairwise(tries)) <= 61

    PeriodicTask.objects.filter(pk=bad.pk).update(queue=None)
    [(name, slot_at)] = beat.run()
    assert (name, NOON + 10 * HOUR - slot_at) == ("bad", MINUTE)
    assert error_of(bad) == ""
