"""Schedules in Django admin: the validation and the audit of the API."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from scheduler_api.access.models import AuditEntry
from tests.admin.conftest import mistakes

ROOT = "/admin/django_celery_beat/"
VALID: dict[Any, dict[str, object]] = {
    IntervalSchedule: {"every": 5, "period": "minutes"},
    CrontabSchedule: {"minute": "30", "hour": "7", "timezone": "Europe/Berlin"},
    SolarSchedule: {"event": "sunset", "latitude": "52.52", "longitude": "13.405"},
    ClockedSchedule: {"clocked_time": datetime(2100, 1, 1, tzinfo=UTC)},
}


def address(model: Any, action: str = "add") -> str:
    return f"{ROOT}{model._meta.model_name}/{action}/"


@pytest.mark.parametrize("model", VALID)
def test_new_schedule_is_audited(submit: Any, model: Any):
    added = submit(address(model), **VALID[model])

    assert added.status_code == 302
    row = model.objects.get()
    entry = AuditEntry.objects.get()
    assert (entry.account_name, entry.operation) == ("admin user boss", "create")
    assert entry.object_id == row.pk


@pytest.mark.parametrize(
    ("model", "fields", "field", "text"),
    [
        (IntervalSchedule, {"every": 0}, "every", "greater than or equal to 1"),
        (IntervalSchedule, {"every": 10**9, "period": "days"}, "every", "10 years"),
        (CrontabSchedule, {"minute": "61"}, "minute", "61"),
        (CrontabSchedule, {"day_of_month": "31", "month_of_year": "2"}, "day_of_month", ""),
        (SolarSchedule, {"latitude": "91"}, "latitude", "90"),
        (ClockedSchedule, {"clocked_time": datetime(2020, 1, 1, tzinfo=UTC)}, "clocked_time", ""),
    ],
)
def test_schedule_that_the_api_refuses_is_refused(
    submit: Any, model: Any, fields: dict[str, object], field: str, text: str
):
    refused = submit(address(model), **{**VALID[model], **fields})

    assert text in " ".join(mistakes(refused)[field])
    assert not model.objects.exists()


def test_change_is_audited(submit: Any, interval: IntervalSchedule):
    submit(address(IntervalSchedule, f"{interval.pk}/change"), every=3)

    assert IntervalSchedule.objects.get().every == 3
    entry = AuditEntry.objects.get()
    assert (entry.operation, entry.before, entry.after) == ("change", {"every": 1}, {"every": 3})


@pytest.mark.parametrize("where", ["page", "list"])
def test_schedule_in_use_is_not_deleted(admin: Client, interval: IntervalSchedule, where: str):
    PeriodicTask.objects.create(name="Uses it", task="project.tasks.heartbeat", interval=interval)
    page = address(IntervalSchedule, f"{interval.pk}/delete"), {"post": "yes"}
    action = {"action": "delete_selected", "_selected_action": [interval.pk], "post": "yes"}

    path, body = page if where == "page" else (f"{ROOT}intervalschedule/", action)
    refused = admin.post(path, body)

    assert "Uses it" in refused.content.decode()
    assert IntervalSchedule.objects.exists()
    assert PeriodicTask.objects.exists()


def test_unused_schedule_is_deleted(admin: Client, interval: IntervalSchedule):
    admin.post(address(IntervalSchedule, f"{interval.pk}/delete"), {"post": "yes"})

    assert not IntervalSchedule.objects.exists()
    assert AuditEntry.objects.get().operation == "delete"


def test_page_of_a_schedule_shows_no_arguments(
    admin: Client, interval: IntervalSchedule, canary: str
):
    PeriodicTask.objects.create(name="Uses it", task="t", interval=interval, args=f'["{canary}"]')

    page = admin.get(address(IntervalSchedule, f"{interval.pk}/change")).content.decode()

    assert "Uses it" in page
    assert canary not in page
    PeriodicTask.objects.all().delete()
