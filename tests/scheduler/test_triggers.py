"""Every way to write a periodic task reaches the agenda through the triggers."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from scheduler_api.periodic_tasks.agenda import Agenda
from tests.api.periodic_tasks.examples import TASKS, heartbeat, stored
from tests.client import ContractClient
from tests.scheduler.agenda import ids, settle, stale_names

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

BATCH = f"{TASKS}batch/"
MANIFEST = "/api/v1/manifest/?mode=apply"
ADMIN = "/admin/django_celery_beat/periodictask/"
IN_POSTGRES = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has no such statement"
)
IN_SQLITE = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="PostgreSQL has no such statement"
)

Writer = Callable[[ContractClient, PeriodicTask], object]


def interval(every: int = 30) -> IntervalSchedule:
    row, _ = IntervalSchedule.objects.get_or_create(every=every, period="seconds")
    return row


def unsaved(**columns: Any) -> PeriodicTask:
    return PeriodicTask(task="project.tasks.heartbeat", interval=interval(), **columns)


def run_sql(sql: str, *params: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def as_form(**fields: Any) -> dict[str, Any]:
    """Return the fields of Django's admin form for a periodic task."""
    row = {"task": "project.tasks.heartbeat", "interval": interval().pk, "enabled": "on"}
    return row | {"args": "[]", "kwargs": "{}", "headers": "{}"} | fields


def post_to_admin(path: str, **form: Any) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None))
    response = client.post(ADMIN + path, form)
    assert response.status_code == 302, response.content


def assert_succeeded(response: Any) -> None:
    assert response.status_code < 300, response.content


# --- New tasks ------------------------------------------------------------------------


def load(rows: list[PeriodicTask], tmp_path: Path) -> None:
    fixture = tmp_path / "tasks.json"
    fixture.write_text(serializers.serialize("json", rows))
    call_command("loaddata", fixture, verbosity=0)


def insert_raw(name: str) -> None:
    run_sql(
        "INSERT INTO django_celery_beat_periodictask (name, task, interval_id, args, kwargs,"
        " headers, one_off, enabled, total_run_count, date_changed, description)"
        " VALUES (%s, 'project.tasks.heartbeat', %s, '[]', '{}', '{}', %s, %s, 0, %s, '')",
        *(name, interval().pk, False, True, "2027-01-01 00:00:00+00:00"),
    )


MAKERS: dict[str, Callable[[ContractClient], object]] = {
    "API POST": lambda api: assert_succeeded(api.post(TASKS, heartbeat(name="new"))),
    "API PUT": lambda api: assert_succeeded(
        api.put(f"{TASKS}by-name/new/", heartbeat(name="new"))
    ),
    "API batch": lambda api: assert_succeeded(
        api.post(BATCH, {"operations": [{"op": "create", "body": heartbeat(name="new")}]})
    ),
    "API manifest": lambda api: assert_succeeded(
        api.post(MANIFEST, {"version": 1, "periodic_tasks": [heartbeat(name="new")]})
    ),
    "admin": lambda _: post_to_admin("add/", **as_form(name="new")),
    "create": lambda _: stored(name="new"),
    "get_or_create": lambda _: PeriodicTask.objects.get_or_create(
        name="new", defaults={"task": "project.tasks.heartbeat", "interval": interval()}
    ),
    "update_or_create": lambda _: PeriodicTask.objects.update_or_create(
        name="new", defaults={"task": "project.tasks.heartbeat", "interval": interval()}
    ),
    "bulk_create": lambda _: PeriodicTask.objects.bulk_create([unsaved(name="new")]),
    "bulk_create past conflicts": lambda _: PeriodicTask.objects.bulk_create(
        [unsaved(name="old"), unsaved(name="new")], ignore_conflicts=True
    ),
    "raw INSERT": lambda _: insert_raw("new"),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_new_task_has_a_stale_agenda_row(api, make):
    old = stored(name="old")
    settle()

    make(api)

    new = PeriodicTask.objects.get(name="new")
    assert ids() == [old.pk, new.pk]
    assert stale_names() == ["new"]


def test_task_loaded_from_a_fixture_has_an_agenda_row(tmp_path):
    new = unsaved(pk=4711, name="new", date_changed=datetime(2027, 1, 1, tzinfo=UTC))
    load([new], tmp_path)

    assert ids() == [4711]
    assert stale_names() == ["new"]


# --- Changed tasks -----------------------------------------------------------------------


def save(task: PeriodicTask, **columns: Any) -> None:
    for column, value in columns.items():
        setattr(task, column, value)
    task.save(update_fields=[*columns])


def save_all(task: PeriodicTask) -> None:
    task.queue = "other"
    task.save()


def bulk_update(task: PeriodicTask) -> None:
    task.queue = "other"
    PeriodicTask.objects.bulk_update([task], ["queue"])


def upsert(task: PeriodicTask) -> None:
    PeriodicTask.objects.bulk_create(
        [unsaved(name=task.name, queue="other")],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["queue"],
    )


def paused(api: ContractClient, task: PeriodicTask) -> None:
    assert_succeeded(api.post(f"{TASKS}{task.pk}/pause/"))
    settle()


def pause_and_resume(api: ContractClient, task: PeriodicTask) -> None:
    paused(api, task)
    assert_succeeded(api.post(f"{TASKS}{task.pk}/resume/"))


CHANGERS: dict[str, Writer] = {
    "API PATCH": lambda api, task: assert_succeeded(
        api.patch(f"{TASKS}{task.pk}/", {"queue": "celery"})
    ),
    "API PUT": lambda api, task: assert_succeeded(
        api.put(f"{TASKS}{task.pk}/", heartbeat(name="changed", enabled=False))
    ),
    "API PATCH of a schedule": lambda api, task: assert_succeeded(
        api.patch(f"{TASKS}{task.pk}/", {"schedule": {**heartbeat()["schedule"], "every": 31}})
    ),
    "API pause": lambda api, task: assert_succeeded(api.post(f"{TASKS}{task.pk}/pause/")),
    "API resume": pause_and_resume,
    "API batch": lambda api, task: assert_succeeded(
        api.post(
            BATCH, {"operations": [{"op": "update", "id": task.pk, "body": {"enabled": False}}]}
        )
    ),
    "API manifest": lambda api, _: assert_succeeded(
        api.post(
            MANIFEST,
            {"version": 1, "periodic_tasks": [heartbeat(name="changed", enabled=False)]},
        )
    ),
    "admin form": lambda _, task: post_to_admin(
        f"{task.pk}/change/", **as_form(name="changed", queue="celery")
    ),
    "admin action": lambda _, task: post_to_admin(
        "", action="disable_tasks", _selected_action=task.pk
    ),
    "save": lambda _, task: save_all(task),
    "save of a field": lambda _, task: save(task, queue="other"),
    "update": lambda _, task: PeriodicTask.objects.filter(pk=task.pk).update(queue="other"),
    "bulk_update": lambda _, task: bulk_update(task),
    "bulk_create over conflicts": lambda _, task: upsert(task),
    "update_or_create": lambda _, task: PeriodicTask.objects.update_or_create(
        name=task.name, defaults={"queue": "other"}
    ),
    "raw UPDATE": lambda _, task: run_sql(
        "UPDATE django_celery_beat_periodictask SET queue = 'other' WHERE id = %s", task.pk
    ),
    "raw UPDATE of its schedule": lambda _, task: run_sql(
        "UPDATE django_celery_beat_intervalschedule SET every = 31 WHERE id = %s",
        task.interval_id,
    ),
}


@pytest.fixture
def task(api: ContractClient) -> PeriodicTask:
    """Return a planned task; another one exists beside it."""
    assert_succeeded(api.post(TASKS, heartbeat(name="changed")))
    stored(
        name="other",
        interval=None,
        crontab=CrontabSchedule.objects.create(minute="30"),
    )
    settle()
    return PeriodicTask.objects.get(name="changed")


@pytest.mark.parametrize("change", CHANGERS.values(), ids=CHANGERS)
def test_changed_task_is_stale(api, task, change):
    change(api, task)

    assert stale_names() == ["changed"]


def test_task_changed_by_a_fixture_is_stale(task, tmp_path):
    task.queue = "other"
    load([task], tmp_path)

    assert stale_names() == ["changed"]


def test_change_keeps_the_columns_of_beat(task):
    Agenda.objects.update(failures=7, missed_count=8, timing_digest="digest")

    PeriodicTask.objects.update(queue="other")

    row = Agenda.objects.get(pk=task.pk)
    assert (row.failures, row.missed_count, row.timing_digest) == (7, 8, "digest")


def test_rolled_back_change_marks_no_task(task):
    with transaction.atomic():
        PeriodicTask.objects.update(queue="other")
        stored(name="new")
        assert stale_names() == ["changed", "new", "other"]
        transaction.set_rollback(True)

    assert stale_names() == []
    assert len(ids()) == 2


# --- Deleted tasks --------------------------------------------------------------------------


def prune(api: ContractClient) -> None:
    assert_succeeded(
        api.post(MANIFEST, {"version": 1, "periodic_tasks": [heartbeat(name="changed")]})
    )
    assert_succeeded(api.post(f"{MANIFEST}&prune=true", {"version": 1, "periodic_tasks": []}))


REMOVERS: dict[str, Writer] = {
    "API DELETE": lambda api, task: assert_succeeded(api.delete(f"{TASKS}{task.pk}/")),
    "API batch": lambda api, task: assert_succeeded(
        api.post(BATCH, {"operations": [{"op": "delete", "id": task.pk}]})
    ),
    "API manifest": lambda api, _: prune(api),
    "admin": lambda _, task: post_to_admin(f"{task.pk}/delete/", post="yes"),
    "delete": lambda _, task: task.delete(),
    "delete of a query": lambda _, task: PeriodicTask.objects.filter(pk=task.pk).delete(),
    "raw DELETE": lambda _, task: (
        run_sql("DELETE FROM scheduler_api_managedtask WHERE periodic_task_id = %s", task.pk),
        run_sql("DELETE FROM django_celery_beat_periodictask WHERE id = %s", task.pk),
    ),
    "delete of its schedule": lambda _, task: task.interval.delete(),
}


@pytest.mark.parametrize("remove", REMOVERS.values(), ids=REMOVERS)
def test_deleted_task_has_no_agenda_row(api, task, remove):
    remove(api, task)

    assert ids() == [PeriodicTask.objects.get().pk]
    assert stale_names() == []


@IN_POSTGRES
def test_truncated_table_empties_the_agenda(task):
    # Constraints deferred to the commit would block the statement.
    run_sql("SET CONSTRAINTS ALL IMMEDIATE")

    run_sql("TRUNCATE django_celery_beat_periodictask CASCADE")

    assert ids() == []


@IN_SQLITE
def test_replaced_row_keeps_its_agenda_row(task):
    Agenda.objects.update(failures=7)

    run_sql(
        "REPLACE INTO django_celery_beat_periodictask"
        " SELECT * FROM django_celery_beat_periodictask WHERE id = %s",
        task.pk,
    )

    assert stale_names() == ["changed"]
    assert Agenda.objects.get(pk=task.pk).failures == 7


def test_fixture_with_agenda_rows_is_loaded(task, tmp_path):
    fixture = tmp_path / "all.json"
    call_command("dumpdata", "django_celery_beat", "scheduler_api.agenda", output=str(fixture))
    PeriodicTask.objects.all().delete()

    call_command("loaddata", fixture, verbosity=0)

    assert len(ids()) == 2
