"""Query plans and clock of the store for PostgreSQL."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import connection

from scheduler_api.runs.models import Run
from scheduler_api.runs.transition_sql import CONFIRM
from scheduler_api.scheduler.postgres_store import PostgresStore, array

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="needs PostgreSQL: python -m tests.services"
    ),
]
NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)


def test_confirmed_runs_are_found_by_id_in_a_ledger_with_stale_statistics():
    """The planner expects one pending run: a join would compare each run with each id."""
    PostgresStore().pending_work()  # configures the session
    ids = [str(uuid4()) for _ in range(300)]
    Run.objects.bulk_create(
        Run(id=pk, periodic_task_id=1, due_at=NOON, created_at=NOON, slot_at=NOON) for pk in ids
    )

    with connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN (FORMAT JSON) {CONFIRM.postgresql}", {"now": NOON, "ids": array(ids)}
        )
        [(plan,)] = cursor.fetchall()

    [whole] = json.loads(plan) if isinstance(plan, str) else plan
    [read] = whole["Plan"]["Plans"]
    assert read["Node Type"] in {"Index Scan", "Bitmap Heap Scan"}
    assert "id = ANY" in str(read)


def test_store_uses_the_clock_of_the_database():
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (before,) = cursor.fetchone()

    now = PostgresStore().now()

    assert before < now
    assert PostgresStore(clock=lambda: NOON).pending_work().now == NOON
