"""Messages that Celery or the broker refuse after the claim: their task is quarantined."""

from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django_celery_beat.models import ClockedSchedule, IntervalSchedule, PeriodicTask

from scheduler_api.broker.outgoing import PublishFailure
from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs.models import Run
from tests.api.periodic_tasks.examples import TASKS
from tests.catalogue.workers import send_report, start_worker
from tests.scheduler.engines import HOUR, MINUTE, NOON, SECOND, TestedEngine

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

NO_QUEUE = (PublishFailure.UNROUTABLE, "NO_ROUTE: no queue receives it.")
BROKEN_ROUTER = (PublishFailure.REFUSED, "Celery cannot send it: KeyError")
REFUSALS = pytest.mark.parametrize("refusal", [NO_QUEUE, BROKEN_ROUTER], ids=lambda each: each[0])


@pytest.fixture
def beat(time_machine: Any) -> TestedEngine:
    time_machine.move_to(NOON, tick=False)
    return TestedEngine()


def every(seconds: int, name: str = "bad", **columns: Any) -> PeriodicTask:
    interval, _ = IntervalSchedule.objects.get_or_create(every=seconds, period="seconds")
    columns = {"task": "project.tasks.heartbeat", "date_changed": NOON, **columns}
    return PeriodicTask.objects.create(name=name, interval=interval, **columns)


def counted(task: PeriodicTask) -> tuple[int, Any]:
    task.refresh_from_db()
    return task.total_run_count, task.last_run_at


def entry_of(task: PeriodicTask) -> Agenda:
    return Agenda.objects.get(pk=task.pk)


@REFUSALS
def test_refused_task_is_quarantined_alone_and_not_counted(api, beat, refusal):
    bad, good = every(10), every(10, "good")
    beat.publisher.failures["bad"] = refusal
    beat.run()

    beat.run(at=NOON + 10 * SECOND)

    assert counted(bad) == (0, None)
    assert counted(good) == (1, NOON + 10 * SECOND)
    run = Run.objects.get(periodic_task_id=bad.pk)
    assert (run.state, run.reason) == ("unroutable", refusal[1])
    [listed] = api.get(f"{TASKS}?has_error=true").json()["results"]
    assert (listed["name"], listed["last_error"]) == ("bad", refusal[1])
    assert (listed["total_run_count"], listed["last_run_at"]) == (0, None)


@REFUSALS
def test_refused_task_keeps_the_count_and_time_of_its_runs_before(beat, refusal):
    task = every(10)
    beat.run()
    beat.run(at=NOON + 10 * SECOND)
    beat.publisher.failures["bad"] = refusal

    for seconds in (20, 30, 40):
        beat.run(at=NOON + seconds * SECOND)

    assert counted(task) == (1, NOON + 10 * SECOND)


def test_refused_task_of_stock_beat_keeps_its_count(beat):
    task = every(10, last_run_at=NOON, total_run_count=7)
    beat.publisher.failures["bad"] = NO_QUEUE
    beat.run()

    beat.run(at=NOON + 10 * SECOND)

    assert counted(task)[0] == 7


@pytest.mark.parametrize(("refusal", "longest"), [(NO_QUEUE, MINUTE), (BROKEN_ROUTER, HOUR)])
def test_refused_task_backs_off_from_a_second(beat, refusal, longest):
    task = every(1)
    beat.publisher.failures["bad"] = refusal
    beat.run()
    tries = [NOON]
    for number in range(1, 16):
        tries.append(entry_of(task).due_at)
        beat.run(at=tries[-1] - SECOND / 2)
        assert entry_of(task).failures == number - 1
        beat.run(at=tries[-1])

    waits = [(after - before) // SECOND for before, after in pairwise(tries)]
    assert waits[:7] == [1, 1, 2, 4, 8, 16, 32]
    assert max(waits) == longest // SECOND
    # Each slot is in the ledger once: sent in vain, or missed.
    slots = sum(Run.objects.values_list("slot_count", flat=True))
    assert slots == (tries[-1] - NOON) // SECOND
    assert entry_of(task).failures == len(tries) - 1


@REFUSALS
def test_sent_message_ends_the_quarantine(beat, refusal):
    task = every(10)
    beat.publisher.failures["bad"] = refusal
    beat.run()
    for seconds in range(10, 70, 10):
        beat.run(at=NOON + seconds * SECOND)
    assert entry_of(task).failures > 1
    beat.publisher.failures.clear()

    beat.run(at=NOON + 3 * MINUTE)

    assert (entry_of(task).failures, entry_of(task).last_error) == (0, "")
    assert counted(task) == (1, NOON + 3 * MINUTE)
    beat.publisher.failures["bad"] = refusal
    beat.run(at=NOON + 3 * MINUTE + 10 * SECOND)
    assert entry_of(task).failures == 1


@REFUSALS
def test_correction_and_announcement_release_the_task_at_once(beat, refusal):
    task = every(1)
    beat.publisher.failures["bad"] = refusal
    beat.run()
    for seconds in range(1, 20):
        beat.run(at=NOON + seconds * SECOND)
    assert entry_of(task).due_at > beat.now + 5 * SECOND

    PeriodicTask.objects.filter(pk=task.pk).update(priority=3)
    before = len(beat.publisher.sent)
    beat.run(at=NOON + 20 * SECOND)
    assert len(beat.publisher.sent) > before

    for seconds in range(21, 40):
        beat.run(at=NOON + seconds * SECOND)
    start_worker(send_report)
    before = len(beat.publisher.sent)
    beat.run(at=NOON + 40 * SECOND)
    assert len(beat.publisher.sent) > before


def test_refused_runs_of_one_claim_are_one_failure(beat):
    task = every(60)
    ManagedTask.objects.create(periodic_task=task, misfire="run_all")
    beat.publisher.failures["bad"] = NO_QUEUE
    beat.run()

    beat.run(at=NOON + 5 * MINUTE)

    assert entry_of(task).failures == 1
    assert counted(task) == (0, None)
    assert Run.objects.filter(state="unroutable").count() == 5


@REFUSALS
def test_refused_run_on_request_leaves_the_task_alone(api, beat, refusal):
    task = every(3600)
    beat.run()
    beat.publisher.failures["bad"] = refusal

    api.post(f"{TASKS}{task.pk}/runs/")
    beat.run(at=NOON + MINUTE)

    assert Run.objects.get().state == "unroutable"
    assert entry_of(task).last_error == ""
    assert counted(task) == (0, None)


@REFUSALS
@pytest.mark.parametrize("is_clocked", [False, True])
def test_refused_one_off_task_is_not_counted_and_shows_its_error(beat, refusal, is_clocked):
    task = every(10, one_off=True)
    if is_clocked:
        clocked = ClockedSchedule.objects.create(clocked_time=NOON + 10 * SECOND)
        PeriodicTask.objects.filter(pk=task.pk).update(interval=None, clocked=clocked)
    beat.publisher.failures["bad"] = refusal
    beat.run()

    beat.run(at=NOON + 10 * SECOND)
    beat.run(at=NOON + 20 * SECOND)

    assert counted(task) == (0, None)
    assert len(beat.publisher.sent) == 1
    entry = entry_of(task)
    assert (entry.last_error, entry.failures) == (refusal[1], 0)


def test_task_disabled_or_deleted_meanwhile_is_not_quarantined(beat):
    disabled, deleted = every(10), every(10, "deleted")
    beat.publisher.is_silent = True
    beat.run()
    beat.run(at=NOON + 10 * SECOND)
    PeriodicTask.objects.filter(pk=disabled.pk).update(enabled=False)
    PeriodicTask.objects.filter(pk=deleted.pk).delete()
    beat.publisher.is_silent = False
    beat.publisher.failures = {"bad": NO_QUEUE, "deleted": NO_QUEUE}
    other = TestedEngine()  # takes the batch over
    other.publisher.failures = beat.publisher.failures

    other.run(at=NOON + 30 * SECOND)
    other.run(at=NOON + 31 * SECOND)

    assert set(Run.objects.values_list("state", flat=True)) == {"unroutable"}
    assert (entry_of(disabled).failures, entry_of(disabled).last_error) == (0, "")
    assert counted(disabled) == (0, None)
    assert other.engine.refusals.waiting == {}


@pytest.mark.django_db(transaction=True)
def test_task_that_a_writer_locks_is_quarantined_later(beat):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    task = every(10)
    beat.publisher.failures["bad"] = NO_QUEUE
    beat.run()
    beat.now = NOON + 10 * SECOND
    beat.engine.work()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM django_celery_beat_periodictask FOR UPDATE")
            beat.engine.work()
            assert Run.objects.get().state == "unroutable"
            assert entry_of(task).failures == 0
            cursor.execute("ROLLBACK")
    finally:
        other.close()

    beat.run(at=NOON + 11 * SECOND)

    assert entry_of(task).failures == 1
    assert counted(task) == (0, None)
