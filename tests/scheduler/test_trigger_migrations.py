"""Triggers are removed before migrations and installed afterwards."""

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations import Migration
from django.db.utils import NotSupportedError, OperationalError
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.triggers.installation import faults_of, install, remove
from scheduler_api.periodic_tasks.triggers.migrating import ensure_installed, remove_for_migration
from tests.api.periodic_tasks.examples import stored
from tests.scheduler.agenda import ids, settle, stale_names

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

OF_BEAT = [(Migration("9999_next", "django_celery_beat"), False)]
OF_OURS = [(Migration("9999_next", "scheduler_api"), False)]
OF_OTHERS = [(Migration("9999_next", "auth"), False)]


@pytest.fixture(autouse=True)
def _restore_columns_and_triggers() -> Any:
    """Restore the columns and triggers for other tests."""
    yield
    remove(connection)
    for model, column in CHANGED:
        alter(model, column, back=True)
    install(connection)


CHANGED = [(PeriodicTask, "name"), (CrontabSchedule, "minute"), (Agenda, "timing_digest")]


def alter(model: type[models.Model], column: str, *, back: bool = False) -> None:
    """Change the length of a column, as a later migration may; `back` reverts it."""
    old: Any = model._meta.get_field(column)
    new = models.CharField(max_length=old.max_length + 1, default="", unique=old.unique)
    new.set_attributes_from_name(column)
    new.model = model
    with connection.schema_editor() as editor:
        editor.alter_field(model, *((new, old) if back else (old, new)))


def test_installed_triggers_have_no_faults():
    faults = faults_of(connection)

    assert (faults.missing, faults.different) == ([], [])


@pytest.mark.parametrize(("model", "column"), CHANGED)
def test_migration_of_a_watched_column_passes(model, column, caplog):
    stored(name="one")
    settle()

    remove_for_migration(using="default", plan=[*OF_BEAT, *OF_OURS])
    alter(model, column)
    PeriodicTask.objects.update(queue="unseen")
    assert stale_names() == []
    ensure_installed(using="default")

    assert not faults_of(connection)
    assert stale_names() == ["one"]
    assert "Removed the agenda's triggers" in caplog.text
    assert "Installed the agenda's triggers" in caplog.text
    settle()
    PeriodicTask.objects.update(queue="seen")
    assert stale_names() == ["one"]


def test_migration_with_triggers_installed_fails():
    with pytest.raises((NotSupportedError, OperationalError), match="trigger"):
        alter(PeriodicTask, "name")


def test_tasks_changed_without_triggers_are_reconciled():
    pk_of_gone = stored(name="gone").pk
    remove_for_migration(using="default", plan=OF_BEAT)
    new = stored(name="new")
    PeriodicTask.objects.filter(name="gone").delete()
    assert ids() == [pk_of_gone] != [new.pk]

    ensure_installed(using="default")

    assert ids() == [new.pk]
    assert stale_names() == ["new"]


def test_migration_of_another_app_keeps_the_triggers(caplog):
    stored(name="one")
    settle()

    remove_for_migration(using="default", plan=OF_OTHERS)
    assert not faults_of(connection)
    ensure_installed(using="default")

    assert stale_names() == []
    assert not [record for record in caplog.records if "trigger" in record.message]


def test_migrate_installs_triggers_missing_after_a_restore():
    stored(name="one")
    settle()
    remove(connection)

    call_command("migrate", verbosity=0)

    assert not faults_of(connection)
    assert stale_names() == ["one"]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL refuses the change")
def test_migrate_installs_triggers_of_a_rebuilt_table():
    alter(CrontabSchedule, "minute")
    assert faults_of(connection).missing == ["trigger scheduler_api_crontab_updated"]

    call_command("migrate", verbosity=0)

    assert not faults_of(connection)


@pytest.mark.parametrize("back_to", ["0002", "zero"])
def test_migrating_back_removes_the_triggers_and_forward_installs_them(back_to):
    stored(name="one")
    try:
        call_command("migrate", "scheduler_api", back_to, verbosity=0)
        assert len(faults_of(connection).missing) >= 10
        PeriodicTask.objects.update(queue="unseen")
    finally:
        call_command("migrate", verbosity=0)

    assert not faults_of(connection)
    assert stale_names() == ["one"]
