"""How long runs are kept: by age, and by count per periodic task."""

from datetime import timedelta

import pytest
from django.db import connection

from scheduler_api.runs import retention
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import Outbox
from scheduler_api.tasks import prune_runs
from tests.api.periodic_tasks.examples import without
from tests.api.runs.examples import NOON, entered

pytestmark = pytest.mark.both_databases

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
UNFINISHED = {"pending", "running"}


def prune(*, days=30, kept=1_000_000, **bounds):
    return retention.prune(at=NOON, older_than=days * DAY, kept_per_task=kept, **bounds)


def left():
    """Return the reasons of the remaining runs, which identify them."""
    return sorted(Run.objects.values_list("reason", flat=True))


def entered_at(*ages, **columns):
    """Store numbered runs, created this long before noon."""
    columns = {"state": "queued", "periodic_task_id": 7, **columns}
    for number, age in enumerate(ages):
        entered(**{"reason": str(number), "created_at": NOON - age, **columns})


@pytest.fixture(autouse=True)
def _on_a_database(db):
    """Each of these tests has one."""


# --- By age -----------------------------------------------------------------------------------


def test_prune_deletes_only_runs_that_are_too_old():
    entered_at(30 * DAY, 30 * DAY + SECOND, 31 * DAY, DAY, timedelta(0))

    assert prune() == 2
    assert left() == ["0", "3", "4"]
    assert prune() == 0


@pytest.mark.parametrize("state", Run.State.values)
def test_prune_deletes_old_runs_in_each_state_but_pending_and_running(state):
    entered_at(400 * DAY, state=state)

    assert prune() == (0 if state in UNFINISHED else 1)
    assert prune(kept=1) == 0
    assert Run.objects.exists() is (state in UNFINISHED)


def test_prune_keeps_runs_in_the_outbox():
    waiting = entered(state="pending", created_at=NOON - 400 * DAY)
    entered_at(400 * DAY)
    Outbox.objects.create(run_ids=[str(waiting.pk)], created_at=NOON, retry_at=NOON)

    assert prune() == 1
    assert [run.pk for run in Run.objects.all()] == [waiting.pk]


# --- By count ---------------------------------------------------------------------------------


def test_prune_keeps_the_newest_runs_of_each_periodic_task():
    for task in (7, 8):
        for age in (2, 3, 4, 5):
            entered_at(age * DAY, periodic_task_id=task, reason=f"{task} {age}")
    entered_at(9 * DAY, periodic_task_id=9, reason="9 9")

    assert prune(kept=2) == 4
    assert left() == ["7 2", "7 3", "8 2", "8 3", "9 9"]
    assert prune(kept=2) == 0


@pytest.mark.parametrize(("kept", "names"), [(1, "0"), (3, "012"), (4, "0123"), (5, "0123")])
def test_prune_keeps_the_set_number_of_runs(kept, names):
    entered_at(2 * DAY, 3 * DAY, 4 * DAY, 5 * DAY)

    assert prune(kept=kept) == 4 - len(names)
    assert left() == list(names)


def test_prune_by_count_keeps_runs_of_the_last_day():
    entered_at(SECOND, 2 * SECOND, DAY - SECOND, DAY, DAY + SECOND)

    assert prune(kept=1) == 1
    assert left() == ["0", "1", "2", "3"]


def test_prune_by_count_keeps_or_deletes_runs_of_one_moment_together():
    entered_at(2 * DAY, 2 * DAY, 2 * DAY, 3 * DAY, 3 * DAY)

    assert prune(kept=2) == 2
    assert left() == ["0", "1", "2"]


@pytest.mark.parametrize("state", sorted(UNFINISHED))
def test_prune_by_count_keeps_pending_and_running_runs(state):
    entered_at(2 * DAY)
    entered_at(3 * DAY, state=state, reason="unfinished")
    entered_at(4 * DAY, reason="finished")

    assert prune(kept=1) == 1
    assert left() == ["0", "unfinished"]


# --- In bounded batches -----------------------------------------------------------------------


def test_prune_deletes_a_bounded_number_of_runs(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    entered_at(*(31 * DAY + number * SECOND for number in range(5)))
    entered_at(2 * DAY, 3 * DAY, 4 * DAY, reason="young", periodic_task_id=8)

    assert prune(max_batches=2) == 4
    assert left() == ["0", "young", "young", "young"]  # the oldest went first
    assert prune(kept=1, max_batches=2) == 3
    assert left() == ["young"]


def test_prune_deletes_each_batch_by_one_statement(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(retention, "BATCH", 2)
    entered_at(*(31 * DAY for _ in range(5)))
    doomed = next(retention.doomed_at(NOON, older_than=30 * DAY, kept_per_task=1))

    with django_assert_num_queries(3):  # it, between the begin and the end of its transaction
        assert retention.delete_batch(doomed) == 2


def test_prune_of_many_periodic_tasks_looks_at_others_each_time(monkeypatch):
    monkeypatch.setattr(retention, "MAX_TASKS", 1)
    for task in (3, 5, 9):
        entered_at(2 * DAY, 3 * DAY, periodic_task_id=task)
    starts = iter([5, 9, 0, 6])
    monkeypatch.setattr(retention.random, "randint", lambda low, high: next(starts))

    assert [retention.with_too_many(1) for _ in range(4)] == [[5, 3], [9, 3], [3], [9, 3]]


def test_prune_of_an_empty_ledger_deletes_nothing():
    assert retention.with_too_many(1) == []
    assert prune() == 0


@pytest.mark.django_db(transaction=True)
def test_prune_skips_runs_that_another_call_deletes():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    entered_at(31 * DAY, 32 * DAY)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                "SELECT id FROM scheduler_api_run WHERE reason = '1' FOR UPDATE SKIP LOCKED"
            )
            assert prune() == 1
    finally:
        other.close()

    assert left() == ["1"]


# --- By a periodic task of our own ------------------------------------------------------------


def test_prune_task_follows_the_settings(settings, time_machine):
    time_machine.move_to(NOON, tick=False)
    settings.RUN_RETENTION_DAYS, settings.RUNS_KEPT_PER_TASK = 10, 2
    entered_at(*(days * DAY for days in (2, 3, 4, 9)))
    entered_at(9 * DAY, 11 * DAY, periodic_task_id=8, reason="other")

    prune_runs()

    assert left() == ["0", "1", "other"]


def test_prune_task_is_listed(api):
    listed = api.get("/api/v1/tasks/scheduler_api.tasks.prune_runs/").json()

    assert "RUN_RETENTION_DAYS" in listed["doc"]
    assert api.get("/api/v1/tasks/").json()["results"][-1] == without(listed, "workers")
