"""The tables that the service writes, in Django admin: shown, never changed, without secrets."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import User
from django.db.models import DateTimeField
from django.test import Client

from scheduler_api.access.models import ApiKey, AuditEntry, ServiceAccount
from scheduler_api.admin import reading
from scheduler_api.catalogue.models import Worker
from scheduler_api.runs.models import Run
from scheduler_api.webhooks.models import Delivery, Webhook
from scheduler_api.worker.registration import Announcement, announce
from tests.api.runs.examples import entered
from tests.conftest import caller
from tests.webhooks.examples import account, due_delivery, webhook_of


def worker() -> Worker:
    announce(
        Announcement(
            name="celery@worker-1",
            queues=lambda: ["celery"],
            version="1",
            pid=4711,
            concurrency=2,
            tasks=list,
        )
    )
    return Worker.objects.get()


def api_key() -> ApiKey:
    caller("crm")
    return ApiKey.objects.get()


def audit_entry() -> AuditEntry:
    caller("crm", scopes=["admin"]).post(
        "/api/v1/interval-schedules/", {"every": 1, "period": "hours"}
    )
    return AuditEntry.objects.get()


# By model: how a row of it comes about, and a text that its page shows.
SHOWN: dict[Any, tuple[Callable[[], Any], str]] = {
    Run: (lambda: entered(reason="It was late."), "It was late."),
    Worker: (worker, "celery@worker-1"),
    ServiceAccount: (account, "crm"),
    ApiKey: (api_key, "crm"),
    Webhook: (lambda: webhook_of(account())[0], "https://8.8.8.8/hook"),
    Delivery: (lambda: due_delivery(webhook_of(account())[0]), "run.failed"),
    AuditEntry: (audit_entry, "interval_schedule"),
}
OURS = [model for model in django_admin.site._registry if model._meta.app_label == "scheduler_api"]
SECRET_COLUMNS = {"digest", "salt", "key_id", "previous_salt", "previous_key_id"}


def pages(row: Any) -> tuple[str, str]:
    """Return the addresses of the list and of the page of a row."""
    root = f"/admin/scheduler_api/{row._meta.model_name}/"
    return root, f"{root}{row.pk}/change/"


def test_every_page_is_tested():
    assert {*OURS} == {*SHOWN}


@pytest.mark.parametrize("model", SHOWN)
def test_row_is_shown(admin: Client, model: Any):
    make, text = SHOWN[model]
    row = make()

    listed, shown = (admin.get(path) for path in pages(row))

    assert (listed.status_code, shown.status_code) == (200, 200)
    assert text in shown.content.decode()


@pytest.mark.parametrize("model", SHOWN)
def test_row_is_not_written(admin: Client, model: Any):
    row = SHOWN[model][0]()
    before = model.objects.values().get(pk=row.pk)
    listed, shown = pages(row)

    statuses = {
        admin.post(path, {"post": "yes"}).status_code
        for path in (f"{listed}add/", shown, shown.replace("change", "delete"))
    }

    assert statuses == {403}
    assert model.objects.values().get(pk=row.pk) == before


@pytest.mark.parametrize("model", SHOWN)
def test_page_has_no_column_with_a_secret(admin: Client, model: Any):
    row = SHOWN[model][0]()

    texts = [admin.get(path).content.decode() for path in pages(row)]

    for column in SECRET_COLUMNS & {field.attname for field in model._meta.fields}:
        if value := getattr(row, column):
            assert not [text for text in texts if str(value) in text], column


@pytest.mark.parametrize("model", SHOWN)
def test_page_shows_every_time(admin: Client, model: Any):
    page = admin.get(pages(SHOWN[model][0]())[1]).content.decode()

    times = [field.name for field in model._meta.fields if isinstance(field, DateTimeField)]
    assert times
    assert [name for name in times if f"field-{name}" not in page] == []


def test_arguments_of_a_run_are_redacted(admin: Client, canary: str):
    run = entered(kwargs=json.dumps({"password": canary, "day": "monday"}))

    page = admin.get(pages(run)[1]).content.decode()

    assert "monday" in page
    assert canary not in page
    run.delete()


@pytest.mark.parametrize("text", ["", "{", '["\\ud83d"]'])
def test_unreadable_arguments_are_shown(admin: Client, text: str):
    run = entered(args=text)

    assert admin.get(pages(run)[1]).status_code == 200


@pytest.mark.parametrize(("state", "is_found"), [("failed", True), ("running", False)])
def test_runs_are_filtered_by_state(admin: Client, state: str, is_found: bool):
    entered(state="failed", periodic_task_name="Nightly")

    page = admin.get(f"/admin/scheduler_api/run/?state={state}").content.decode()

    assert ("Nightly" in page) is is_found


def test_long_ledger_is_not_counted(admin: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "MAX_COUNT", 2)
    for _ in range(3):
        entered()

    page = admin.get("/admin/scheduler_api/run/")

    assert page.context["cl"].result_count == 2


def test_user_without_permissions_sees_nothing(db: None):
    client = Client()
    client.force_login(User.objects.create_user("guest", is_staff=True))

    assert client.get(pages(entered())[0]).status_code == 403
