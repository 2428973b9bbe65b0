"""The expiry of runs that wait while the column is added."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from scheduler_api.runs.models import Run
from tests.api.runs.examples import NOON, entered

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
LATER = NOON + timedelta(minutes=1)
EXPIRES = f'{{"queue": "celery", "expires": "{LATER.isoformat()}"}}'


@pytest.mark.parametrize(
    ("columns", "expires_at"),
    [
        ({"state": "queued", "options": EXPIRES}, LATER),
        ({"state": "pending", "options": EXPIRES}, LATER),
        ({"state": "queued", "options": '{"queue": "celery"}'}, None),
        ({"state": "queued", "options": EXPIRES, "started_at": NOON}, None),
        ({"state": "succeeded", "options": EXPIRES}, None),
    ],
)
def test_migration_reads_the_expiry_of_waiting_runs(columns, expires_at):
    entered(**columns)
    migration = import_module("scheduler_api.migrations.0005_run_expiry")

    migration.read_expiry(apps, connection.schema_editor())

    assert Run.objects.get().expires_at == expires_at
