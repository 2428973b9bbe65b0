"""Arguments, written past the API, that do not fit: quarantined with a reason, and never sent."""

import json
from typing import Any

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.runs.models import Run
from tests.catalogue.workers import REPORT, close_books, send_report, start_worker
from tests.scheduler.engines import NOON, SECOND, TestedEngine

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

SIGN_IN, ADD, FAIL = "project.tasks.sign_in", "project.tasks.add", "project.tasks.fail"
NO_TYPE = '{"__type__": "none", "__value__": "hunter2"}'
A_UUID = json.dumps({"__type__": "uuid", "__value__": {"hex": "0" * 32}})
# For each task, calls that do not fit, and a part of the reason.
UNFIT: dict[str, list[tuple[dict[str, str], str]]] = {
    ADD: [
        ({}, 'kwargs/x: "x" is missing'),
        ({"args": "[1]"}, 'kwargs/y: "y" is missing'),
        ({"args": "[1, 2, 3]"}, "args/2: is one too many"),
        ({"args": json.dumps([1] * 2000)}, "args/2: is one too many"),
        ({"args": "[1]", "kwargs": '{"x": 1, "y": 2}'}, "kwargs/x: is given twice"),
        ({"args": "[1]", "kwargs": '{"y": 2, "z": "hunter2"}'}, "kwargs/z: is unknown"),
    ],
    SIGN_IN: [
        ({"args": '["me", "hunter2"]'}, "args/1: is one too many"),
        ({"args": '["me"]', "kwargs": ""}, 'kwargs/password: "password" is missing'),
    ],
    "project.tasks.fail_at_first": [({"args": "[1, 2]"}, "args/1: is one too many")],
    "project.tasks.heartbeat": [({"kwargs": '{"why": "hunter2"}'}, "kwargs/why: is unknown")],
    "celery.chord": [({}, "missing")],
    REPORT: [
        ({}, 'kwargs/month: "month" is missing'),
        ({"args": '["2027-06", 1, true]'}, "args/2: is one too many"),
        ({"args": '["2027-06"]', "kwargs": '{"draft": "hunter2"}'}, "kwargs/draft: is unknown"),
    ],
    FAIL: [
        ({"args": f"[{NO_TYPE}]"}, "args has"),
        ({"kwargs": f'{{"message": {NO_TYPE}}}'}, "kwargs has"),
    ],
}


@pytest.fixture
def beat(time_machine: Any) -> TestedEngine:
    time_machine.move_to(NOON, tick=False)
    start_worker(send_report)
    return TestedEngine()


def every_ten_seconds(name: str, **columns: Any) -> PeriodicTask:
    """Store a task with columns that the ORM does not check."""
    interval, _ = IntervalSchedule.objects.get_or_create(every=10, period="seconds")
    task = PeriodicTask.objects.create(
        name=name, task="project.tasks.heartbeat", interval=interval, date_changed=NOON
    )
    PeriodicTask.objects.filter(pk=task.pk).update(**columns)
    return task


def error_of(task: PeriodicTask) -> str:
    return Agenda.objects.get(pk=task.pk).last_error


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"task": task, **columns}, says)
        for task, calls in UNFIT.items()
        for columns, says in calls
    ],
    ids=lambda value: str(value)[:60],
)
def test_arguments_that_do_not_fit_are_quarantined_alone(beat, columns, says):
    bad, _ = every_ten_seconds("bad", **columns), every_ten_seconds("good")
    beat.run()

    assert beat.run(at=NOON + 10 * SECOND) == [("good", NOON + 10 * SECOND)]

    assert says in error_of(bad)
    assert "hunter2" not in error_of(bad)
    bad.refresh_from_db()
    assert (bad.last_run_at, bad.total_run_count) == (None, 0)
    assert not Run.objects.filter(periodic_task_id=bad.pk).exists()


@pytest.mark.parametrize(
    "columns",
    [
        {"task": ADD, "args": '["one", null]'},
        {"task": ADD, "args": "", "kwargs": '{"x": [], "y": {}}'},
        {"task": REPORT, "args": "[6]", "kwargs": '{"copies": "many"}'},
        {"task": "celery.backend_cleanup", "args": "", "kwargs": ""},
        {"task": FAIL, "args": f"[{A_UUID}]"},
    ],
    ids=str,
)
def test_arguments_that_fit_are_sent_whatever_their_type(beat, columns):
    """Neither Python nor Celery compares a value with a hint."""
    every_ten_seconds("any", **columns)
    beat.run()

    assert beat.run(at=NOON + 10 * SECOND) == [("any", NOON + 10 * SECOND)]


def test_changed_signature_quarantines_the_task_and_the_next_one_releases_it(beat):
    def one(year: int) -> None: ...

    def other(year: int, month: int) -> None: ...

    one.__name__ = other.__name__ = close_books.__name__
    start_worker(one)
    task = every_ten_seconds("books", task="elsewhere.close_books", args="[2027]")
    beat.run()
    assert beat.run(at=NOON + 10 * SECOND) == [("books", NOON + 10 * SECOND)]

    start_worker(other)
    assert beat.run(at=NOON + 20 * SECOND) == []
    assert '"month" is missing' in error_of(task)

    start_worker(one)
    assert beat.run(at=NOON + 22 * SECOND) == [("books", NOON + 20 * SECOND)]
    assert error_of(task) == ""


def test_slots_wait_for_the_correction_and_the_policy_decides_on_them(beat):
    task = every_ten_seconds("bad", args="[1]")
    beat.run()
    for seconds in range(10, 60, 5):
        beat.run(at=NOON + seconds * SECOND)
    assert not Run.objects.exists()

    PeriodicTask.objects.filter(pk=task.pk).update(args="[]")
    assert beat.run(at=NOON + 59 * SECOND) == [("bad", NOON + 50 * SECOND)]

    missed = Run.objects.get(state="missed")
    assert (missed.slot_at, missed.slot_count) == (NOON + 10 * SECOND, 4)
    task.refresh_from_db()
    assert (task.total_run_count, error_of(task)) == (1, "")


def test_one_off_task_runs_after_the_correction(beat):
    task = every_ten_seconds("bad", args="[1]", one_off=True)
    beat.run()
    beat.run(at=NOON + 10 * SECOND)
    task.refresh_from_db()
    assert (task.enabled, task.total_run_count) == (True, 0)

    PeriodicTask.objects.filter(pk=task.pk).update(args="[]")

    assert beat.run(at=NOON + 20 * SECOND) == [("bad", NOON + 10 * SECOND)]
