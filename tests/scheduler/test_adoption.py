"""A database of the stock scheduler, taken over with the default settings."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from scheduler_api.catalogue.registry import registered_tasks
from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs.models import Run
from tests.api.periodic_tasks.examples import TASKS
from tests.catalogue.workers import BOOKS, REPORT, close_books, send_report, start_worker
from tests.scheduler.engines import HOUR, MINUTE, NOON, SECOND, TestedEngine

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


@pytest.fixture
def clock(time_machine: Any) -> Any:
    registered_tasks()  # the first call configures logging, which would end a test's own capture
    time_machine.move_to(NOON, tick=False)
    return time_machine


@pytest.fixture
def beat(clock: Any) -> TestedEngine:
    return TestedEngine()


def adopted(name: str = "report", *, every: int = 10, **columns: Any) -> PeriodicTask:
    """Store a task as stock beat has left it: it ran at noon for the seventh time."""
    interval, _ = IntervalSchedule.objects.get_or_create(every=every, period="seconds")
    task = PeriodicTask.objects.create(
        name=name, task=REPORT, args='["2027-06"]', interval=interval, total_run_count=7
    )
    PeriodicTask.objects.filter(pk=task.pk).update(**{"last_run_at": NOON, **columns})
    return task


def error_of(task: PeriodicTask) -> str:
    return Agenda.objects.get(pk=task.pk).last_error


def test_adopted_task_is_sent_with_a_warning_before_workers_are_known(beat, caplog):
    task = adopted()
    beat.run()

    for seconds in (10, 20, 30):
        slot_at = NOON + seconds * SECOND
        assert beat.run(at=slot_at) == [("report", slot_at)]

    task.refresh_from_db()
    assert (task.total_run_count, task.last_run_at) == (10, NOON + 30 * SECOND)
    assert error_of(task) == ""
    assert caplog.text.count(f"Sending {REPORT}, which no worker has registered") == 1


def test_adopted_task_shows_that_no_worker_has_registered_it(api, beat):
    task = adopted()
    beat.run()

    [warning] = api.get(f"{TASKS}{task.pk}/").json()["warnings"]

    assert (warning["pointer"], warning["code"]) == ("/task", "unregistered_task")


def test_adopted_task_may_run_now_before_workers_are_known(api, beat):
    runs = f"{TASKS}{adopted().pk}/runs/"

    assert api.post(runs).status_code == 202
    assert beat.run(at=NOON + SECOND) == [("report", None)]
    start_worker(close_books)
    refused = api.post(runs)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_sendable")


@pytest.mark.parametrize("managed_by", ManagedTask.ManagedBy.values)
def test_only_definitions_that_the_api_has_not_checked_are_sent_unknown(beat, managed_by):
    task = adopted()
    ManagedTask.objects.create(periodic_task=task, managed_by=managed_by)
    beat.run()

    sent = beat.run(at=NOON + 10 * SECOND)

    assert bool(sent) == (managed_by in {"settings", "admin"})
    assert bool(error_of(task)) == (managed_by in {"api", "manifest"})


def test_unknown_task_is_quarantined_once_workers_of_its_queue_are_known(beat, settings):
    """Workers of other queues may be older, and announce nothing."""
    settings.QUEUES = ["celery", "celery.other"]
    here, there = adopted("here", queue="celery"), adopted("there", queue="celery.other")
    start_worker(close_books, queues=("celery.other",))
    beat.run()

    assert beat.run(at=NOON + 10 * SECOND) == [("here", NOON + 10 * SECOND)]

    assert error_of(here) == ""
    assert f"There is no task '{REPORT}'" in error_of(there)


# --- The end of a quarantine ------------------------------------------------------------------


@pytest.fixture
def put_off(beat: TestedEngine) -> PeriodicTask:
    """A task that the API has stored, and that no worker has any more: six hours in quarantine."""
    task = adopted(every=3600)
    ManagedTask.objects.create(periodic_task=task)
    beat.run()
    for minutes in range(60, 7 * 60, 10):
        beat.run(at=NOON + minutes * MINUTE)
    waits_until = Agenda.objects.get(pk=task.pk).due_at
    assert waits_until is not None
    assert waits_until > beat.now + 10 * MINUTE
    return task


def assert_sent_within_a_second(beat: TestedEngine, task: PeriodicTask) -> None:
    assert beat.run(at=beat.now + SECOND) == [("report", NOON + 6 * HOUR)]
    assert error_of(task) == ""
    assert Run.objects.get(state="missed").slot_count == 5


def test_announcement_of_a_worker_releases_the_task_at_once(beat, put_off):
    start_worker(send_report)

    assert_sent_within_a_second(beat, put_off)


def test_changed_setting_releases_the_task_at_once(beat, put_off, settings):
    settings.UNREGISTERED_TASKS = "allow"

    assert_sent_within_a_second(beat, put_off)


def test_start_of_beat_with_another_setting_releases_the_task_at_once(put_off, settings, clock):
    settings.UNREGISTERED_TASKS = "allow"
    started = TestedEngine()
    started.now = NOON + 7 * HOUR - 10 * MINUTE

    assert_sent_within_a_second(started, put_off)


@pytest.mark.parametrize(
    ("columns", "change"),
    [
        ({"queue": "slow"}, {"QUEUES": ["celery", "slow"]}),
        ({"exchange": "mine", "routing_key": "a"}, {"ALLOW_CUSTOM_ROUTING": True}),
    ],
    ids=str,
)
def test_setting_that_allows_a_route_releases_the_task_at_once(
    beat, put_off, settings, columns, change
):
    start_worker(send_report)
    PeriodicTask.objects.filter(pk=put_off.pk).update(**columns)
    assert beat.run(at=beat.now + 10 * SECOND) == []

    for name, value in change.items():
        setattr(settings, name, value)

    assert_sent_within_a_second(beat, put_off)


def test_invalid_schedule_is_tried_at_the_start_of_beat(beat, put_off):
    IntervalSchedule.objects.update(every=0)
    beat.run()
    failures = Agenda.objects.get(pk=put_off.pk).failures

    TestedEngine().run(at=beat.now)

    assert Agenda.objects.get(pk=put_off.pk).failures == failures + 1


def test_announcement_of_another_task_leaves_the_task_in_quarantine(beat, put_off):
    failures = Agenda.objects.get(pk=put_off.pk).failures
    start_worker(close_books)

    for _ in range(60):
        assert beat.run(at=beat.now + SECOND) == []

    agenda_entry = Agenda.objects.get(pk=put_off.pk)
    assert agenda_entry.failures == failures + 1
    assert f"did you mean '{BOOKS}'?" in agenda_entry.last_error
    assert agenda_entry.due_at > beat.now + 10 * MINUTE


def test_readiness_counts_the_task_and_its_overdue_slot(api, beat, put_off, clock):
    clock.move_to(beat.now, tick=False)

    reported = api.get("/readyz").json()

    assert reported["quarantined"] == 1
    overdue = (datetime.now(UTC) - NOON - HOUR).total_seconds()
    assert reported["oldest_overdue_seconds"] == pytest.approx(overdue, abs=2)
