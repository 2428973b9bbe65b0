"""Backfilled runs are sent a few at a time, oldest slots first, after the due slots."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from scheduler_api.access.audit import COMMAND_LINE
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs import transitions
from scheduler_api.runs.actions import cancel
from scheduler_api.runs.backfill import backfill
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import Outbox
from scheduler_api.scheduler import engine
from scheduler_api.scheduler.buffered_runs import release_backfilled
from tests.scheduler.engines import HOUR, MINUTE, NOON, SECOND, TestedEngine, slots_sent

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

TIMES = [NOON - HOUR + number * MINUTE for number in range(25)]


@pytest.fixture
def beat(time_machine: Any) -> TestedEngine:
    time_machine.move_to(NOON, tick=False)
    return TestedEngine()


def every(seconds: int, **columns: Any) -> PeriodicTask:
    interval, _ = IntervalSchedule.objects.get_or_create(every=seconds, period="seconds")
    defaults = {"name": "often", "task": "project.tasks.heartbeat", "interval": interval}
    return PeriodicTask.objects.create(**{**defaults, **columns})


def waiting(task: PeriodicTask, count: int) -> PeriodicTask:
    """Request a backfill of `count` slots, one per minute, from an hour ago."""
    minutely, _ = IntervalSchedule.objects.get_or_create(every=60, period="seconds")
    as_of_then = PeriodicTask.objects.get(pk=task.pk)
    as_of_then.interval = minutely
    filled = backfill(
        as_of_then,
        start=TIMES[0],
        end=TIMES[0] + count * MINUTE,
        now=NOON,
        by=COMMAND_LINE,
    )
    assert len(filled.runs) == count
    return task


def all_end(*, at: datetime, took: timedelta = SECOND) -> None:
    """Mark all sent runs as succeeded, one after the other."""
    for pk in Run.objects.filter(state="queued").values_list("pk", flat=True):
        assert transitions.start(str(pk), at=at - took, worker="celery@here")
        assert transitions.end(str(pk), at=at, started_at=at - took, state="succeeded")


def later(seconds: float) -> datetime:
    return NOON + seconds * SECOND


def test_backfilled_runs_are_sent_ten_at_a_time_oldest_slots_first(beat):
    waiting(every(3600), 25)

    assert slots_sent(beat.run()) == TIMES[:10]
    assert beat.run(at=later(5)) == [], "none of these has ended"
    all_end(at=later(6))
    assert slots_sent(beat.run(at=later(7))) == TIMES[10:20]
    all_end(at=later(8))
    assert slots_sent(beat.run(at=later(9))) == TIMES[20:]
    assert not Run.objects.filter(is_buffered=True).exists()
    assert not Outbox.objects.exists()


def test_backfill_limit_follows_the_setting(beat, settings):
    settings.BACKFILL_AT_ONCE = 3
    waiting(every(3600), 25)
    other = waiting(every(3600, name="other"), 2)

    sent = beat.run()

    assert len(sent) == 5, "of each periodic task"
    assert Run.objects.filter(periodic_task_id=other.pk, state="queued").count() == 2
    done = Run.objects.filter(state="queued").exclude(periodic_task_id=other.pk).first()
    transitions.end(str(done.pk), at=later(1), state="failed")
    assert len(beat.run(at=later(2))) == 1


def test_backfill_is_checked_once_a_second(beat):
    waiting(every(3600), 25)
    beat.run()
    all_end(at=later(0.1))

    assert beat.run(at=later(0.5)) == []
    assert len(beat.run(at=later(0) + engine.BACKFILL_INTERVAL)) == 10


def test_due_slot_is_sent_before_backfilled_runs(beat):
    task = every(60)
    beat.run()
    waiting(task, 25)

    sent = beat.run(at=later(60))

    order = [Run.objects.get(pk=run.id).slot_at for run in beat.publisher.sent]
    assert order == [later(60), *TIMES[:10]]
    assert len(sent) == 11
    task.refresh_from_db()
    assert task.total_run_count == 1, "a backfilled run is none of its schedule"
    assert task.last_run_at == later(60)


def test_backfilled_runs_wait_while_the_broker_is_unavailable(beat):
    waiting(every(3600), 3)
    beat.publisher.is_ready = False

    assert beat.run() == []
    assert not Outbox.objects.exists()

    beat.publisher.is_ready = True
    assert slots_sent(beat.run(at=later(2))) == TIMES[:3]


def test_cancelled_backfilled_run_is_not_sent(beat):
    waiting(every(3600), 3)
    cancel(Run.objects.get(slot_at=TIMES[1]), now=NOON, by=COMMAND_LINE)

    assert slots_sent(beat.run()) == [TIMES[0], TIMES[2]]


def test_backfilled_run_cancelled_after_its_release_is_not_sent(beat):
    waiting(every(3600), 3)
    assert release_backfilled(beat.engine.store, NOON, at_once=10)
    cancel(Run.objects.get(slot_at=TIMES[1]), now=NOON, by=COMMAND_LINE)

    assert slots_sent(beat.run()) == [TIMES[0], TIMES[2]]


def test_backfilled_runs_of_a_deleted_periodic_task_are_sent(beat):
    waiting(every(3600), 3).delete()

    assert slots_sent(beat.run()) == TIMES[:3]


def test_backfilled_runs_of_a_disabled_periodic_task_are_sent(beat):
    waiting(every(3600, enabled=False), 3)

    assert slots_sent(beat.run()) == TIMES[:3]


# --- Where runs must not overlap --------------------------------------------------------------


@pytest.mark.parametrize("overlap", ["skip", "buffer_one", "cancel_previous"])
def test_backfilled_runs_of_a_task_without_overlap_are_sent_one_by_one(beat, overlap):
    task = every(3600)
    ManagedTask.objects.create(periodic_task=task, overlap=overlap)
    waiting(task, 3)

    for number in range(3):
        assert slots_sent(beat.run(at=later(10 * number))) == [TIMES[number]]
        assert beat.run(at=later(10 * number + 5)) == [], "it has not ended"
        all_end(at=later(10 * number + 6))

    assert beat.run(at=later(60)) == []


@pytest.mark.parametrize("overlap", ["skip", "buffer_one", "cancel_previous"])
def test_waiting_backfilled_runs_do_not_block_a_slot(beat, overlap):
    task = every(60)
    beat.run()
    ManagedTask.objects.create(periodic_task=task, overlap=overlap)
    waiting(task, 25)
    Run.objects.update(created_at=NOON)

    assert slots_sent(beat.run(at=later(60))) == [later(60)]
    assert Run.objects.filter(trigger="backfill", state="pending", is_buffered=True).count() == 25


def test_slot_does_not_overlap_with_a_running_backfilled_run(beat):
    task = every(60)
    beat.run()
    ManagedTask.objects.create(periodic_task=task, overlap="buffer_one")
    waiting(task, 2)
    assert slots_sent(beat.run(at=later(1))) == [TIMES[0]]

    assert beat.run(at=later(60)) == []
    all_end(at=later(70), took=69 * SECOND)

    next_ones = [*beat.run(at=later(71)), *beat.run(at=later(72)), *beat.run(at=later(73))]
    assert slots_sent(next_ones) == [later(60)], "the slot of now is next"


def test_backfilled_run_that_would_delay_the_next_slot_is_not_sent(beat):
    """The estimate for its duration is that of the latest run."""
    task = every(60)
    beat.run()
    ManagedTask.objects.create(periodic_task=task, overlap="skip")
    waiting(task, 2)
    beat.run(at=later(1))
    all_end(at=later(31), took=30 * SECOND)

    assert beat.run(at=later(32)) == []
    assert slots_sent(beat.run(at=later(60))) == [later(60)]
    all_end(at=later(70), took=10 * SECOND)
    assert slots_sent(beat.run(at=later(71))) == [TIMES[1]]
