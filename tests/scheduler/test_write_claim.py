"""The INSERT of a claim on PostgreSQL writes the rows that the ORM writes."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from scheduler_api.access.models import ServiceAccount
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import Outbox
from scheduler_api.scheduler.claiming import claim
from scheduler_api.scheduler.postgres_store import PostgresStore
from scheduler_api.scheduler.store import Store
from tests.scheduler.engines import MINUTE, NOON, SECOND, TestedEngine

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="other databases have the ORM alone"
    ),
]

COLUMNS: list[dict[str, Any]] = [
    {},
    {"args": "[1]", "kwargs": '{"to": "Grüße %s"}'},
    {"args": "", "kwargs": ""},
    {"queue": "celery", "priority": 3, "headers": '{"trace": "1"}'},
    {"expire_seconds": 60},
    {"expires": NOON + timedelta(days=1)},
    {"one_off": True},
]
POLICIES: list[dict[str, Any]] = [
    {},
    {"jitter_seconds": 10},
    {"misfire": "run_all", "catchup_window_seconds": 3600},
    {"overlap": "skip"},
]


def written_by(store: Store, *, now: Any) -> dict[str, list[dict[str, Any]]]:
    """Return what a claim writes, which is rolled back."""
    with transaction.atomic():
        claimed = claim(store, now, grace=10 * SECOND, limit=1000)
        assert claimed.count == len(COLUMNS) + len(POLICIES)
        batches = [sorted(batch.run_ids) for batch in Outbox.objects.all()]
        written = {
            "runs": list(Run.objects.order_by("pk").values()),
            "tasks": list(PeriodicTask.objects.order_by("pk").values()),
            "batches": [{"run_ids": run_ids} for run_ids in batches],
        }
        transaction.set_rollback(True)
    return written


def test_insert_of_postgresql_writes_the_rows_of_new_run(time_machine):
    time_machine.move_to(NOON, tick=False)
    owner = ServiceAccount.objects.create(name="reports")
    interval = IntervalSchedule.objects.create(every=60, period="seconds")
    for number, columns in enumerate([*COLUMNS, *({} for _ in POLICIES)]):
        task = PeriodicTask.objects.create(
            name=f"task {number}", task="project.tasks.heartbeat", interval=interval, **columns
        )
        if number >= len(COLUMNS):
            policies = POLICIES[number - len(COLUMNS)]
            ManagedTask.objects.create(periodic_task=task, owner=owner, **policies)
    TestedEngine().run()
    now = NOON + 3 * MINUTE + 11 * SECOND

    by_orm, by_sql = (
        written_by(store(clock=lambda: now), now=now) for store in (Store, PostgresStore)
    )

    assert len(by_orm["runs"]) > len(COLUMNS)
    assert by_sql == by_orm
