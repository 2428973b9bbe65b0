"""Periodic tasks in Django admin: the validation, the revision and the audit of the API."""

import json
from typing import Any

import pytest
from django.test import Client
from django_celery_beat.admin import PeriodicTaskAdmin as StockAdmin
from django_celery_beat.models import ClockedSchedule, IntervalSchedule, PeriodicTask

from scheduler_api.access.models import AuditEntry
from scheduler_api.admin.periodic_tasks import PeriodicTaskAdmin
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs.models import Run
from tests.admin.conftest import mistakes
from tests.client import ContractClient

LIST = "/admin/django_celery_beat/periodictask/"
ADD = f"{LIST}add/"
TASKS = "/api/v1/periodic-tasks/"


@pytest.fixture
def stored(api: ContractClient) -> PeriodicTask:
    """A periodic task that a caller of the API has created."""
    body = {
        "name": "Import",
        "task": "project.tasks.import_contacts",
        "args": ["here", "there"],
        "schedule": {"type": "interval", "every": 1, "period": "hours"},
    }
    return PeriodicTask.objects.get(pk=api.post(TASKS, body).json()["id"])


def form_of(task: PeriodicTask) -> str:
    return f"{LIST}{task.pk}/change/"


def act(admin: Client, action: str, *tasks: PeriodicTask) -> list[str]:
    """Run an action on tasks; return the messages of the next page."""
    body = {"action": action, "_selected_action": [task.pk for task in tasks]}
    response = admin.post(LIST, body, follow=True)
    return [str(message) for message in response.context["messages"]]


# --- Saving ---------------------------------------------------------------------------------


def test_new_task_is_managed_by_the_admin(submit: Any, interval: IntervalSchedule):
    added = submit(
        ADD,
        name="Add up",
        task="project.tasks.add",
        kwargs='{"x": 40, "y": 2}',
        interval=interval.pk,
    )

    assert added.status_code == 302
    managed = ManagedTask.objects.get(periodic_task__name="Add up")
    assert (managed.managed_by, managed.revision, managed.owner) == ("admin", 1, None)
    entry = AuditEntry.objects.get(object_type="periodic_task")
    assert (entry.account_name, entry.operation) == ("admin user boss", "create")
    assert entry.request_id == added["X-Request-Id"]
    assert entry.after["kwargs"] == {"x": 40, "y": 2}


WRONG: list[tuple[dict[str, object], str, str]] = [
    ({"kwargs": '{"be_carefull": true}'}, "kwargs", "be_carefull"),
    ({"args": '["here"]'}, "kwargs", "is missing"),
    ({"args": "[1, 2]"}, "args", "0: "),
    ({"args": "not JSON"}, "args", "Unable to parse JSON"),
    ({"args": "{}"}, "args", "Must be a JSON array"),
    ({"task": "project.tasks.import_contact"}, "task", "project.tasks.import_contacts"),
    ({"task": ""}, "task", "Need name of task"),
    ({"queue": "nowhere"}, "queue", "There is no queue 'nowhere'"),
    ({"routing_key": "a.b"}, "routing_key", "ALLOW_CUSTOM_ROUTING"),
    ({"headers": '{"id": "mine"}'}, "headers", "This name belongs to Celery"),
    ({"interval": ""}, "__all__", "A schedule is required"),
    ({"expire_seconds": 0}, "expire_seconds", "greater than or equal to 1"),
    ({"name": "Taken"}, "name", "The name 'Taken' is taken"),
]


@pytest.mark.parametrize(("fields", "field", "text"), WRONG)
def test_new_task_that_the_api_refuses_is_refused(
    submit: Any, interval: IntervalSchedule, fields: dict[str, object], field: str, text: str
):
    PeriodicTask.objects.create(name="Taken", task="project.tasks.heartbeat", interval=interval)
    valid = {
        "name": "Import",
        "task": "project.tasks.import_contacts",
        "args": '["here", "there"]',
        "interval": interval.pk,
    }

    refused = submit(ADD, **{**valid, **fields})

    assert text in " ".join(mistakes(refused)[field])
    assert not PeriodicTask.objects.filter(name="Import").exists()


@pytest.mark.parametrize(("fields", "field", "text"), WRONG)
def test_change_that_the_api_refuses_is_refused(
    submit: Any, stored: PeriodicTask, fields: dict[str, object], field: str, text: str
):
    schedule = stored.interval
    PeriodicTask.objects.create(name="Taken", task="project.tasks.heartbeat", interval=schedule)

    refused = submit(form_of(stored), **fields)

    assert text in " ".join(mistakes(refused)[field])
    after = PeriodicTask.objects.get(pk=stored.pk)
    assert (after.name, after.args, after.kwargs) == ("Import", stored.args, stored.kwargs)
    assert ManagedTask.objects.get(pk=stored.pk).revision == 1


def test_change_counts_as_a_revision_of_the_admin(submit: Any, stored: PeriodicTask):
    changed = submit(form_of(stored), args='["here", "everywhere"]', description="Weekly")

    assert changed.status_code == 302
    managed = ManagedTask.objects.get(pk=stored.pk)
    assert (managed.revision, managed.managed_by) == (2, "admin")
    assert managed.owner
    assert managed.owner.name == "tests"
    entry = AuditEntry.objects.latest("pk")
    assert (entry.account_name, entry.operation) == ("admin user boss", "change")
    assert entry.before["args"] == ["here", "there"]
    assert entry.after["args"] == ["here", "everywhere"]


def test_form_that_is_saved_unchanged_changes_nothing(submit: Any, stored: PeriodicTask):
    before = PeriodicTask.objects.values().get(pk=stored.pk)

    assert submit(form_of(stored)).status_code == 302

    assert PeriodicTask.objects.values().get(pk=stored.pk) == before
    assert AuditEntry.objects.filter(operation="change").count() == 0


@pytest.mark.parametrize("source", ["settings", "manifest"])
def test_edit_of_a_definition_that_is_written_again_gets_a_warning(
    admin: Client, submit: Any, stored: PeriodicTask, source: str
):
    ManagedTask.objects.filter(pk=stored.pk).update(managed_by=source)

    submit(form_of(stored), description="Weekly")

    assert ManagedTask.objects.get(pk=stored.pk).managed_by == source
    assert "overwrite" in str(admin.get(LIST).content)


def test_secret_is_neither_shown_nor_lost(submit: Any, admin: Client, canary: str):
    schedule = IntervalSchedule.objects.create(every=1, period="hours")
    task = PeriodicTask.objects.create(
        name="Login",
        task="project.tasks.import_contacts",
        args='["here", "there"]',
        headers=json.dumps({"x-token": canary}),
        interval=schedule,
    )

    shown = admin.get(form_of(task))
    submit(form_of(task), description="Weekly")

    assert canary not in shown.content.decode()
    stored = PeriodicTask.objects.get(pk=task.pk)
    assert stored.description == "Weekly"
    assert json.loads(stored.headers) == {"x-token": canary}
    PeriodicTask.objects.all().delete()  # the canary must not stay


def test_clocked_task_is_one_off(submit: Any):
    clocked = ClockedSchedule.objects.create(clocked_time="2100-01-01T00:00:00Z")

    submit(ADD, name="Once", task="project.tasks.heartbeat", clocked=clocked.pk)

    assert PeriodicTask.objects.get(name="Once").one_off


def test_paused_task_stays_paused_when_it_is_edited(
    submit: Any, api: ContractClient, stored: PeriodicTask
):
    api.post(f"{TASKS}{stored.pk}/pause/", {"note": "Holidays"})

    submit(form_of(stored), description="Weekly")

    task = api.get(f"{TASKS}{stored.pk}/").json()
    assert (task["paused"], task["enabled"], task["description"]) == (True, True, "Weekly")


def test_deletion_is_audited(admin: Client, stored: PeriodicTask):
    admin.post(f"{LIST}{stored.pk}/delete/", {"post": "yes"})

    assert not PeriodicTask.objects.exists()
    entry = AuditEntry.objects.latest("pk")
    assert (entry.operation, entry.object_name) == ("delete", "Import")


# --- Actions --------------------------------------------------------------------------------


def test_run_of_selected_tasks_is_in_the_ledger(admin: Client, stored: PeriodicTask):
    said = act(admin, "run_tasks", stored)

    run = Run.objects.get()
    assert (run.periodic_task_id, run.trigger, run.state) == (stored.pk, "manual", "pending")
    assert json.loads(run.args) == ["here", "there"]
    assert AuditEntry.objects.latest("pk").operation == "run"
    assert said == ["1 periodic task was entered in the ledger to run now."]


def test_run_of_a_task_that_cannot_be_sent_is_refused(admin: Client, stored: PeriodicTask):
    PeriodicTask.objects.filter(pk=stored.pk).update(task="nobody.has.this")

    [said] = act(admin, "run_tasks", stored)

    assert said.startswith("Import: ")
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("action", "operation", "enabled"),
    [
        ("disable_tasks", "change", False),
        ("toggle_tasks", "change", False),
        ("pause_tasks", "pause", False),
    ],
)
def test_action_is_audited(
    admin: Client, stored: PeriodicTask, action: str, operation: str, enabled: bool
):
    act(admin, action, stored)

    assert PeriodicTask.objects.get(pk=stored.pk).enabled is enabled
    entry = AuditEntry.objects.latest("pk")
    assert (entry.account_name, entry.operation) == ("admin user boss", operation)
    assert ManagedTask.objects.get(pk=stored.pk).revision == 2


def test_resume_ends_a_pause(admin: Client, stored: PeriodicTask):
    act(admin, "pause_tasks", stored)

    act(admin, "resume_tasks", stored)

    assert PeriodicTask.objects.get(pk=stored.pk).enabled
    assert AuditEntry.objects.latest("pk").operation == "resume"


def test_task_that_is_never_due_is_not_enabled(admin: Client, stored: PeriodicTask):
    PeriodicTask.objects.filter(pk=stored.pk).update(enabled=False, expires="2020-01-01T00:00:00Z")

    [said] = act(admin, "enable_tasks", stored)

    assert said.startswith("Import: The schedule has no slot")
    assert not PeriodicTask.objects.get(pk=stored.pk).enabled


def test_every_stock_action_is_replaced():
    assert set(StockAdmin.actions) <= set(PeriodicTaskAdmin.actions)
    assert {name for name in StockAdmin.actions if name in vars(PeriodicTaskAdmin)} == {
        *StockAdmin.actions
    }


# --- Pages ----------------------------------------------------------------------------------


def test_list_shows_state(admin: Client, api: ContractClient, stored: PeriodicTask):
    api.post(f"{TASKS}{stored.pk}/pause/", {"note": "Holidays"})

    page = admin.get(f"{LIST}?state=paused").content.decode()
    form = admin.get(form_of(stored)).content.decode()

    assert "Import" in page
    assert "Holidays, without end" in form
    assert "No periodic tasks" not in page
    assert "Import</a>" not in admin.get(f"{LIST}?state=error").content.decode()
