"""`manage.py check_agenda` finds and repairs rows that the triggers did not maintain."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from scheduler_api.periodic_tasks import agenda_check
from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.task_schedule import timing_digest
from scheduler_api.periodic_tasks.triggers.installation import faults_of, remove
from tests.api.periodic_tasks.examples import stored
from tests.scheduler.agenda import ids, settle, stale_names

pytestmark = [
    pytest.mark.both_databases,
    pytest.mark.django_db(transaction=True),
]

UNCHANGED = "Nothing was changed. Run with --repair to repair these faults."


@pytest.fixture(autouse=True)
def _planned() -> None:
    """Create three planned tasks."""
    for number in range(3):
        stored(name=f"Task {number}")
    plan()


def plan() -> None:
    settle()
    for row in Agenda.objects.select_related("periodic_task"):
        Agenda.objects.filter(pk=row.pk).update(timing_digest=timing_digest(row.periodic_task))


def check(*options: str) -> list[str]:
    """Run the command; return its output lines."""
    out = StringIO()
    call_command("check_agenda", *options, stdout=out)
    return out.getvalue().splitlines()


def refuse() -> list[str]:
    """Run the command, which exits with an error; return its output lines."""
    out = StringIO()
    with pytest.raises(CommandError, match=UNCHANGED) as refused:
        call_command("check_agenda", stdout=out)
    assert refused.value.returncode == 1
    return out.getvalue().splitlines()


def test_consistent_agenda_is_not_changed():
    assert check() == check("--repair") == ["The agenda is consistent."]
    assert stale_names() == []


# --- Triggers -------------------------------------------------------------------------------


def drop_a_trigger() -> None:
    on = " ON django_celery_beat_periodictask" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER scheduler_api_task_updated{on}")


def alter_a_trigger() -> None:
    drop_a_trigger()
    calls = {
        "postgresql": "FOR EACH ROW EXECUTE FUNCTION scheduler_api_task_written()",
        "sqlite": "BEGIN DELETE FROM scheduler_api_agenda WHERE 0; END",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER scheduler_api_task_updated AFTER UPDATE OF queue"
            f" ON django_celery_beat_periodictask {calls}"
        )


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (drop_a_trigger, "Missing: trigger scheduler_api_task_updated."),
        (
            alter_a_trigger,
            "Changed or disabled: trigger scheduler_api_task_updated.",
        ),
    ],
)
def test_repair_installs_triggers_and_marks_each_task_stale(spoil, sentence):
    spoil()

    assert refuse() == [sentence]
    assert faults_of(connection)
    assert stale_names() == []

    assert check("--repair") == [sentence, "All faults are repaired."]
    assert stale_names() == ["Task 0", "Task 1", "Task 2"]
    plan()
    assert check() == ["The agenda is consistent."]


def test_repair_without_any_trigger_installs_all():
    remove(connection)

    [sentence] = refuse()

    assert sentence.startswith("Missing: ")
    assert sentence.count("trigger scheduler_api_") >= 10
    assert len(check("--repair")) == 2
    assert not faults_of(connection)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such statement")
@pytest.mark.parametrize(
    ("name", "sql"),
    [
        (
            "trigger scheduler_api_task_deleted",
            """ALTER TABLE django_celery_beat_periodictask
            DISABLE TRIGGER scheduler_api_task_deleted""",
        ),
        (
            "function scheduler_api_task_deleted",
            """CREATE OR REPLACE FUNCTION scheduler_api_task_deleted() RETURNS trigger
            LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$""",
        ),
        (
            "function scheduler_api_task_deleted",
            "ALTER FUNCTION scheduler_api_task_deleted() SECURITY INVOKER",
        ),
    ],
)
def test_trigger_that_does_nothing_is_found(name, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)

    sentence = f"Changed or disabled: {name}."
    assert refuse() == [sentence]
    assert check("--repair") == [sentence, "All faults are repaired."]
    assert not faults_of(connection)


# --- Rows -----------------------------------------------------------------------------------


def test_repair_adds_the_missing_row_of_a_task():
    Agenda.objects.filter(periodic_task__name="Task 1").delete()
    sentence = "Periodic tasks without an agenda row: 1."

    assert refuse() == [sentence]
    assert len(ids()) == 2
    assert check("--repair") == [sentence, "All faults are repaired."]
    assert stale_names() == ["Task 1"]


def test_repair_deletes_a_row_without_a_task():
    Agenda.objects.create(pk=4711)
    sentence = "Agenda rows without a periodic task: 1."

    assert refuse() == [sentence]
    assert len(ids()) == 4
    assert check("--repair") == [sentence, "All faults are repaired."]
    assert len(ids()) == 3
    assert stale_names() == []


@pytest.mark.parametrize("chunk", [1, 2, 2_000])
def test_repair_marks_a_row_planned_from_another_schedule(monkeypatch, chunk):
    monkeypatch.setattr(agenda_check, "CHUNK", chunk)
    rows = Agenda.objects.filter(periodic_task__name__in=["Task 0", "Task 2"])
    rows.update(timing_digest="of another schedule")
    sentence = "Agenda rows planned from an outdated schedule: 2."

    assert refuse() == [sentence]
    assert stale_names() == []
    assert check("--repair") == [sentence, "All faults are repaired."]
    assert stale_names() == ["Task 0", "Task 2"]


def test_row_that_is_already_stale_is_not_counted():
    Agenda.objects.filter(periodic_task__name="Task 0").update(timing_digest="other", stale=True)
    PeriodicTask.objects.filter(name="Task 1").update(enabled=False)
    Agenda.objects.filter(periodic_task__name="Task 1").update(timing_digest="other", stale=False)

    assert check() == ["The agenda is consistent."]


def test_schedule_changed_without_triggers_is_found():
    remove(connection)
    IntervalSchedule.objects.update(every=31)
    found = refuse()
    assert found[-1] == "Agenda rows planned from an outdated schedule: 3."

    assert check("--repair")[-1] == "All faults are repaired."

    plan()
    assert check() == ["The agenda is consistent."]


def test_row_with_an_unreadable_schedule_does_not_stop_the_check():
    PeriodicTask.objects.filter(name="Task 0").update(interval=None)
    IntervalSchedule.objects.update(every=-5, period="fortnights")
    plan()

    assert check() == ["The agenda is consistent."]


def queries_of_a_check() -> int:
    with CaptureQueriesContext(connection) as queries:
        check()
    return len(queries)


def test_check_reads_tasks_in_chunks(monkeypatch):
    monkeypatch.setattr(agenda_check, "CHUNK", 2)
    few = queries_of_a_check()
    for number in range(3, 7):
        stored(name=f"Task {number}")
    plan()

    assert queries_of_a_check() == few + 2 * 2
