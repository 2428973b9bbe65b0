"""How PostgreSQL carries out what beat asks of it."""

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
        connection.vendor != "postgresql", reason="asks PostgreSQL: python -m tests.services"
    ),
]
NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)


def test_runs_are_looked_up_by_their_ids_in_a_ledger_that_was_empty_a_moment_ago():
    """A join of what is believed to be one run would compare each of them with each id."""
    PostgresStore().pending_work()  # sets the session up
    ids = [str(uuid4()) for _ in range(300)]
    Run.objects.bulk_create(
        Run(id=pk, periodic_task_id=1, due_at=NOON, created_at=NOON, slot_at=NOON) for pk in ids
    )

    with connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN (FORMAT JSON) {CONFIRM.postgresql}", {"now": NOON, "ids": array(ids)}
        )
        [(told,)] = cursor.fetchall()

    [whole] = json.loads(told) if isinstance(told, str) else told
    [read] = whole["Plan"]["Plans"]
    assert read["Node Type"] in {"Index Scan", "Bitmap Heap Scan"}
    assert "id = ANY" in str(read)


def test_all_beats_go_by_the_clock_of_the_database():
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (before,) = cursor.fetchone()

    told = PostgresStore().now()

    assert before < told
    assert PostgresStore(clock=lambda: NOON).pending_work().now == NOON
