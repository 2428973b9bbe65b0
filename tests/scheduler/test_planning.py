"""The moment from which slots count: new, adopted, changed, disabled and enabled tasks."""

from datetime import datetime
from typing import Any

import pytest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
)

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.runs.models import Run
from tests.scheduler.engines import HOUR, MINUTE, NOON, SECOND, TestedEngine, slots_sent

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


@pytest.fixture
def beat(time_machine: Any) -> TestedEngine:
    time_machine.move_to(NOON, tick=False)
    return TestedEngine()


def hourly(**columns: Any) -> PeriodicTask:
    return stored(interval=interval(60), **columns)


def interval(minutes: int) -> IntervalSchedule:
    return IntervalSchedule.objects.get_or_create(every=minutes, period="minutes")[0]


def crontab(minute: str) -> CrontabSchedule:
    return CrontabSchedule.objects.create(minute=minute)


def stored(**columns: Any) -> PeriodicTask:
    task = PeriodicTask(name="task", task="project.tasks.heartbeat")
    PeriodicTask.objects.bulk_create([task])
    return change(task, at=NOON, **{"date_changed": NOON, **columns})


def change(task: PeriodicTask, *, at: datetime, **columns: Any) -> PeriodicTask:
    """Write columns at a given time."""
    PeriodicTask.objects.filter(pk=task.pk).update(**columns)
    Agenda.objects.filter(pk=task.pk, stale=True).update(stale_at=at)
    return task


def next_slot(task: PeriodicTask) -> datetime | None:
    return Agenda.objects.get(pk=task.pk).slot_at


def test_new_task_counts_from_its_creation(beat):
    task = hourly()

    beat.run()

    assert next_slot(task) == NOON + HOUR


@pytest.mark.parametrize("ago", [0.5, 1, 1.5])
def test_task_of_stock_beat_continues_from_its_last_run(beat, ago):
    task = hourly(last_run_at=NOON - ago * HOUR, total_run_count=7)

    sent = beat.run()

    assert slots_sent(sent) == ([NOON - (ago - 1) * HOUR] if ago >= 1 else [])
    assert next_slot(task) == NOON + (1 - ago % 1) * HOUR


def test_long_overdue_task_of_stock_beat_follows_the_misfire_policy(beat):
    hourly(last_run_at=NOON - 10.5 * HOUR)

    assert slots_sent(beat.run()) == [NOON - 0.5 * HOUR]

    missed = Run.objects.get(state="missed")
    assert (missed.slot_count, missed.slot_at) == (9, NOON - 9.5 * HOUR)


def test_crontab_of_stock_beat_is_neither_repeated_nor_skipped(beat):
    task = stored(crontab=crontab("*/30"), last_run_at=NOON - 30 * MINUTE + 0.2 * SECOND)

    assert slots_sent(beat.run()) == [NOON]
    assert next_slot(task) == NOON + 30 * MINUTE


def test_changed_message_moves_no_slot(beat):
    task = hourly()
    beat.run()

    change(task, at=NOON + 30 * MINUTE, kwargs='{"a": 1}', name="another", priority=3)
    beat.run(at=NOON + 30 * MINUTE)

    assert next_slot(task) == NOON + HOUR


def test_interval_of_another_length_counts_from_the_latest_slot(beat):
    task = hourly()
    beat.run()
    beat.run(at=NOON + HOUR)

    for minutes, then in ((90, 61), (50, 62), (80, 63)):
        change(task, at=NOON + then * MINUTE, interval=interval(minutes))
        beat.run(at=NOON + then * MINUTE)
        assert next_slot(task) == NOON + HOUR + minutes * MINUTE


def test_slots_before_a_change_do_not_count(beat):
    task = hourly()
    beat.run()

    change(task, at=NOON + 45 * MINUTE, interval=interval(10))

    assert beat.run(at=NOON + 46 * MINUTE) == []
    assert next_slot(task) == NOON + 50 * MINUTE


def test_changed_shared_schedule_replans_its_tasks(beat):
    task = stored(crontab=crontab("30"))
    beat.run()
    assert next_slot(task) == NOON + 30 * MINUTE

    CrontabSchedule.objects.update(minute="45")
    beat.run(at=NOON + MINUTE)

    assert next_slot(task) == NOON + 45 * MINUTE


def test_slot_due_before_a_change_is_still_sent(beat):
    task = hourly()
    beat.run()

    change(task, at=NOON + HOUR + 2 * SECOND, crontab=crontab("30"), interval=None)

    assert slots_sent(beat.run(at=NOON + HOUR + 3 * SECOND)) == [NOON + HOUR]
    assert next_slot(task) == NOON + 1.5 * HOUR


def test_slot_due_before_the_task_was_disabled_is_missed(beat):
    task = hourly()
    beat.run()

    change(task, at=NOON + HOUR + 2 * SECOND, enabled=False)
    assert beat.run(at=NOON + HOUR + 3 * SECOND) == []

    run = Run.objects.get()
    assert (run.state, run.slot_at) == ("missed", NOON + HOUR)
    assert "disabled" in run.reason
    assert Agenda.objects.get().missed_count == 1


def test_task_enabled_again_counts_from_then(beat):
    task = hourly()
    beat.run()
    change(task, at=NOON + 10 * MINUTE, enabled=False)
    beat.run(at=NOON + 10 * MINUTE)
    assert next_slot(task) is None

    change(task, at=NOON + 10 * HOUR + 20 * MINUTE, enabled=True)

    assert beat.run(at=NOON + 10 * HOUR + 21 * MINUTE) == []
    assert next_slot(task) == NOON + 11 * HOUR + 20 * MINUTE


def test_one_off_task_enabled_again_runs_once_more(beat):
    task = hourly(one_off=True)
    beat.run()
    assert slots_sent(beat.run(at=NOON + HOUR)) == [NOON + HOUR]
    assert beat.run(at=NOON + 9 * HOUR) == []
    task.refresh_from_db()
    assert task.enabled is False

    change(task, at=NOON + 9 * HOUR, enabled=True)
    beat.run()

    assert slots_sent(beat.run(at=NOON + 10 * HOUR)) == [NOON + 10 * HOUR]
    assert beat.run(at=NOON + 20 * HOUR) == []


def test_schedule_has_no_slot_outside_its_start_and_end(beat):
    task = hourly(start_time=NOON + 2.25 * HOUR, expires=NOON + 4.25 * HOUR)
    beat.run()
    assert next_slot(task) == NOON + 2.25 * HOUR

    for hours in (2.25, 3.25):
        assert slots_sent(beat.run(at=NOON + hours * HOUR)) == [NOON + hours * HOUR]

    assert next_slot(task) is None
    assert beat.run(at=NOON + 9 * HOUR) == []
    change(task, at=NOON + 9 * HOUR, kwargs='{"a": 1}')
    assert beat.run(at=NOON + 9 * HOUR) == []


def test_past_clocked_time_runs_as_under_stock_beat_within_the_window(beat):
    recent = ClockedSchedule.objects.create(clocked_time=NOON - 30 * MINUTE)
    task = stored(clocked=recent, one_off=True)

    assert slots_sent(beat.run()) == [NOON - 30 * MINUTE]

    old = ClockedSchedule.objects.create(clocked_time=NOON - 2 * HOUR)
    change(task, at=NOON, clocked=old, enabled=True, total_run_count=0)
    assert beat.run() == []


def test_agenda_row_without_a_task_is_deleted_and_a_task_without_a_row_is_ignored(beat):
    task = hourly()
    Agenda.objects.filter(pk=task.pk).delete()
    Agenda.objects.create(pk=task.pk + 1000)

    assert beat.run() == []

    assert not Agenda.objects.exists()
