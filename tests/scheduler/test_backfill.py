"""Backfilled runs: sent a few at a time, the oldest slots first, and behind those of now."""

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

pytestmark = pytest.mark.django_db

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
    """Let the slots of so many minutes, an hour ago, wait to be backfilled."""
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
    """Let the workers run all that was sent, one after the other."""
    for pk in Run.objects.filter(state="queued").values_list("pk", flat=True):
        assert transitions.start(str(pk), at=at - took, worker="celery@here")
        assert transitions.end(str(pk), at=at, started_at=at - took, state="succeeded")


def later(seconds: float) -> datetime:
    return NOON + seconds * SECOND


def test_so_many_are_sent_at_a_time_the_oldest_slots_first(beat):
    waiting(every(3600), 25)

    assert slots_sent(beat.run()) == TIMES[:10]
    assert beat.run(at=later(5)) == [], "none of these has ended"
    all_end(at=later(6))
    assert slots_sent(beat.run(at=later(7))) == TIMES[10:20]
    all_end(at=later(8))
    assert slots_sent(beat.run(at=later(9))) == TIMES[20:]
    assert not Run.objects.filter(is_buffered=True).exists()
    assert not Outbox.objects.exists()


def test_the_setting_says_how_many(beat, settings):
    settings.BACKFILL_AT_ONCE = 3
    waiting(every(3600), 25)
    other = waiting(every(3600, name="other"), 2)

    sent = beat.run()

    assert len(sent) == 5, "of each periodic task"
    assert Run.objects.filter(periodic_task_id=other.pk, state="queued").count() == 2
    done = Run.objects.filter(state="queued").exclude(periodic_task_id=other.pk).first()
    transitions.end(str(done.pk), at=later(1), state="failed")
    assert len(beat.run(at=later(2))) == 1


def test_beat_looks_for_them_once_a_second(beat):
    waiting(every(3600), 25)
    beat.run()
    all_end(at=later(0.1))

    assert beat.run(at=later(0.5)) == []
    assert len(beat.run(at=later(0) + engine.BACKFILL_INTERVAL)) == 10


def test_what_is_due_now_goes_first(beat):
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


def test_while_the_broker_is_away_they_wait(beat):
    waiting(every(3600), 3)
    beat.publisher.is_ready = False

    assert beat.run() == []
    assert not Outbox.objects.exists()

    beat.publisher.is_ready = True
    assert slots_sent(beat.run(at=later(2))) == TIMES[:3]


def test_one_that_was_cancelled_is_not_sent(beat):
    waiting(every(3600), 3)
    cancel(Run.objects.get(slot_at=TIMES[1]), now=NOON, by=COMMAND_LINE)

    assert slots_sent(beat.run()) == [TIMES[0], TIMES[2]]


def test_one_that_is_cancelled_on_its_way_is_not_sent(beat):
    waiting(every(3600), 3)
    assert release_backfilled(beat.engine.store, NOON, at_once=10)
    cancel(Run.objects.get(slot_at=TIMES[1]), now=NOON, by=COMMAND_LINE)

    assert slots_sent(beat.run()) == [TIMES[0], TIMES[2]]


def test_those_of_a_deleted_periodic_task_are_sent_too(beat):
    waiting(every(3600), 3).delete()

    assert slots_sent(beat.run()) == TIMES[:3]


def test_and_those_of_one_that_is_disabled(beat):
    waiting(every(3600, enabled=False), 3)

    assert slots_sent(beat.run()) == TIMES[:3]


# --- Where runs must not overlap --------------------------------------------------------------


@pytest.mark.parametrize("overlap", ["skip", "buffer_one", "cancel_previous"])
def test_one_after_the_other(beat, overlap):
    task = every(3600)
    ManagedTask.objects.create(periodic_task=task, overlap=overlap)
    waiting(task, 3)

    for number in range(3):
        assert slots_sent(beat.run(at=later(10 * number))) == [TIMES[number]]
        assert beat.run(at=later(10 * number + 5)) == [], "it has not ended"
        all_end(at=later(10 * number + 6))

    assert beat.run(at=later(60)) == []


@pytest.mark.parametrize("overlap", ["skip", "buffer_one", "cancel_previous"])
def test_those_that_wait_are_in_the_way_of_no_slot(beat, overlap):
    task = every(60)
    beat.run()
    ManagedTask.objects.create(periodic_task=task, overlap=overlap)
    waiting(task, 25)
    Run.objects.update(created_at=NOON)

    assert slots_sent(beat.run(at=later(60))) == [later(60)]
    assert Run.objects.filter(trigger="backfill", state="pending", is_buffered=True).count() == 25


def test_a_slot_does_not_overlap_with_one_that_runs(beat):
    task = every(60)
    beat.run()
    ManagedTask.objects.create(periodic_task=task, overlap="buffer_one")
    waiting(task, 2)
    assert slots_sent(beat.run(at=later(1))) == [TIMES[0]]

    assert beat.run(at=later(60)) == []
    all_end(at=later(70), took=69 * SECOND)

    next_ones = [*beat.run(at=later(71)), *beat.run(at=later(72)), *beat.run(at=later(73))]
    assert slots_sent(next_ones) == [later(60)], "the slot of now is next"


def test_none_begins_that_would_be_in_the_way_of_the_next_slot(beat):
    """As far as can be known: it may take as long as the latest run."""
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
