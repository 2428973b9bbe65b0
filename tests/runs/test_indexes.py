"""Each list of runs, and what deletes them, reads an index and sorts nothing: PostgreSQL says so.

300,000 runs of 100 periodic tasks and 200 owners are enough to ask it. PostgreSQL sorts, or reads
a whole table, where that is less work than to go by an index, and so in small tables only: that
work grows with the table, while a page by an index reads the rows that it shows. What it plans
here it plans for a ledger of any size beyond.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import PeriodicTask

from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs import retention
from scheduler_api.runs.models import Run
from scheduler_api.scheduler.postgres_store import store_of_database
from scheduler_api.scheduler.reaping import expire
from tests.api.access.callers import account_of, service
from tests.api.periodic_tasks.examples import stored
from tests.api.runs.examples import RUNS, address, of
from tests.client import ContractClient
from tests.conftest import caller

pytestmark = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="asks PostgreSQL: python -m tests.services"
)

NOW = datetime(2027, 6, 1, 12, tzinfo=UTC)
MIDDLE = "2027-05-16T12:00:00Z"
# One in ten is nobody's, one in a thousand failed, and none was lost.
FILL = """
INSERT INTO scheduler_api_run (
    id, periodic_task_id, periodic_task_name, owner_id, task, trigger, slot_at, due_at, slot_count,
    state, reason, is_buffered, created_at, started_at, finished_at, args, kwargs, options
)
SELECT
    gen_random_uuid(), 1 + number %% 100, 'Task ' || number %% 100,
    CASE WHEN number %% 10 > 0 THEN %(owner)s + number %% 200 - 1 END,
    'project.tasks.heartbeat', 'schedule', at, at, 1,
    CASE WHEN number %% 999 = 0 THEN 'failed' ELSE 'queued' END, '', false,
    at, at, at, '[]', '{}', '{}'
FROM (
    SELECT number, %(now)s - number * interval '8.64 seconds' AS at
    FROM generate_series(1, 300000) AS number
) AS slot
"""


@pytest.fixture
def clients(db: None) -> dict[str, ContractClient]:
    """Fill the ledger; return its readers: admin, an owner, an account that sees no run."""
    clients = {
        "admin": caller("tests", scopes=["admin"]),
        "owner": service("owner"),
        "seer": service("seer", sees_unowned=True),
    }
    owner = account_of("owner")
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"owner": owner.pk, "now": NOW})
        cursor.execute("ANALYZE scheduler_api_run")
    ManagedTask.objects.create(periodic_task=stored(pk=7), owner=owner)
    return clients


def plan_of(sql: str, params: Any = None) -> list[dict[str, Any]]:
    """Return the steps in which PostgreSQL would carry out a statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        (plan,) = cursor.fetchone()
    [whole] = json.loads(plan) if isinstance(plan, str) else plan
    return list(steps_of(whole["Plan"]))


def steps_of(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield step
    for inner in step.get("Plans", ()):
        yield from steps_of(inner)


def indexes_in(plan: list[dict[str, Any]]) -> set[str]:
    """Return which indexes of the ledger a plan reads, and nothing besides."""
    kinds = {step["Node Type"] for step in plan}
    assert not {kind for kind in kinds if "Sort" in kind or "Seq Scan" in kind}, plan
    return {step["Index Name"] for step in plan if "Index Name" in step}


def plan_of_page(client: ContractClient, address: str, query: dict[str, str]) -> Any:
    """Return the steps of the query that reads a page, and its answer."""
    with CaptureQueriesContext(connection) as captured:
        response = client.get(address, query)
    assert response.status_code == 200, response.content
    [sql] = [q["sql"] for q in captured if 'FROM "scheduler_api_run"' in q["sql"]]
    return plan_of(sql), response.json()


LISTS = [
    ("admin", {}, "runs_by_created_at"),
    ("admin", {"ordering": "created_at"}, "runs_by_created_at"),
    ("admin", {"page_size": "500"}, "runs_by_created_at"),
    ("admin", {"created_at_before": MIDDLE}, "runs_by_created_at"),
    ("admin", {"created_at_after": MIDDLE, "ordering": "created_at"}, "runs_by_created_at"),
    ("admin", {"periodic_task": "7"}, "runs_by_periodic_task"),
    ("admin", {"periodic_task": "7", "created_at_before": MIDDLE}, "runs_by_periodic_task"),
    ("admin", {"periodic_task": "999999"}, "runs_by_periodic_task"),
    ("admin", {"state": "failed"}, "runs_by_end_state"),
    ("admin", {"state": "failed", "ordering": "created_at"}, "runs_by_end_state"),
    ("admin", {"state": "lost"}, "runs_by_end_state"),
    ("admin", {"state": "pending,queued"}, "runs_by_created_at"),
    ("owner", {}, "runs_by_owner"),
    ("owner", {"ordering": "created_at"}, "runs_by_owner"),
    ("owner", {"created_at_before": MIDDLE}, "runs_by_owner"),
    ("seer", {}, "runs_by_created_at"),
]


def test_page_of_runs_reads_one_index(clients):
    first_pages, further_pages = [], []
    for who, query, index in LISTS:
        plan, page = plan_of_page(clients[who], RUNS, query)
        first_pages.append((who, query, *indexes_in(plan)))
        if page["next"] is None:
            further_pages.append((who, query, index))
            continue
        plan, _ = plan_of_page(clients[who], page["next"], {})
        further_pages.append((who, query, *indexes_in(plan)))
        assert "created_at" in next(step for step in plan if "Index Name" in step)["Index Cond"]

    assert first_pages == further_pages == LISTS
    plan, _ = plan_of_page(clients["admin"], of(PeriodicTask.objects.get()), {})
    assert indexes_in(plan) == {"runs_by_periodic_task"}
    # PostgreSQL does not know that all of a task's are its owner's: it takes them for few, and may
    # sort them, which are never more than retention keeps.
    plan, _ = plan_of_page(clients["owner"], of(PeriodicTask.objects.get()), {})
    assert "runs_by_periodic_task" in {step.get("Index Name") for step in plan}
    plan, _ = plan_of_page(clients["admin"], address(Run.objects.earliest("pk")), {})
    assert indexes_in(plan) == {"scheduler_api_run_pkey"}


def indexes_of(plan: list[dict[str, Any]]) -> set[str]:
    """Return which indexes a plan goes by, where it may sort; the ledger is not read whole."""
    read_whole = {step["Relation Name"] for step in plan if step["Node Type"].endswith("Seq Scan")}
    assert "scheduler_api_run" not in read_whole, plan
    return {step["Index Name"] for step in plan if "Index Name" in step}


def test_filter_before_a_time_begins_there_in_the_index(clients):
    for name in ("started_at_before", "finished_at_before"):
        plan, _ = plan_of_page(clients["admin"], RUNS, {name: MIDDLE})

        assert indexes_in(plan) == {"runs_by_created_at"}
        [step] = [step for step in plan if "Index Name" in step]
        assert "created_at" in step["Index Cond"], "it does not begin at the newest run"


def test_label_filter_reads_runs_of_its_periodic_tasks_or_the_newest(clients):
    """Where few have it, all of theirs are sorted: of each, no more than retention keeps."""
    half = ManagedTask.objects.get()
    half.labels = {"team": "billing"}
    half.save()
    few, _ = plan_of_page(clients["admin"], RUNS, {"label": "team=billing"})
    for pk in range(8, 60):
        task = stored(pk=pk, name=f"Task {pk}")
        ManagedTask.objects.create(periodic_task=task, labels={"team": "billing"})
    many, _ = plan_of_page(clients["admin"], RUNS, {"label": "team=billing"})

    assert indexes_of(few) == {"runs_by_periodic_task"}
    assert indexes_in(many) == {"runs_by_created_at"}


STATS = [
    ("admin", {}, {"runs_by_created_at"}),
    ("admin", {"bucket": "hour", "group_by": "task"}, {"runs_by_created_at"}),
    ("admin", {"task": "project.tasks.add", "group_by": "periodic_task"}, {"runs_by_created_at"}),
    ("admin", {"periodic_task": "7"}, {"runs_by_periodic_task"}),
    ("admin", {"state": "failed"}, {"runs_by_end_state"}),
    ("owner", {"bucket": "day"}, {"runs_by_owner"}),
    ("seer", {}, {"runs_by_created_at", "runs_by_owner"}),
]


def test_statistics_read_their_range_by_an_index(clients):
    a_day = {
        "created_at_after": "2027-05-15T12:00:00Z",
        "created_at_before": "2027-05-16T12:00:00Z",
    }
    for who, query, indexes in STATS:
        with CaptureQueriesContext(connection) as captured:
            response = clients[who].get(f"{RUNS}stats/", {**a_day, **query})
        assert response.status_code == 200, response.content
        statements = [q["sql"] for q in captured if 'FROM "scheduler_api_run"' in q["sql"]]

        assert len(statements) == 2, "one counts, so that the other does not read too much"
        for plan in map(plan_of, statements):
            found = indexes_of(plan)
            assert found, (who, query, plan)
            assert found <= indexes, (who, query, plan)
            conditions = [step["Index Cond"] for step in plan if "Index Name" in step]
            assert all("created_at" in each for each in conditions), (who, query, plan)


def test_retention_finds_runs_by_an_index(clients):
    old, *too_many = retention.doomed_at(NOW, older_than=timedelta(days=20), kept_per_task=299)
    bounds = {"low": 0, "high": 101, "kept": 299, "most": retention.MAX_TASKS}

    plan = plan_of(retention.WITH_TOO_MANY, bounds)

    assert len(too_many) == 100
    assert indexes_in(plan_of_batch(old)) == {"runs_by_created_at"}
    assert indexes_in(plan_of_batch(too_many[0])) == {"runs_by_periodic_task"}
    assert indexes_in(plan) == {"runs_by_periodic_task"}
    assert {step["Node Type"] for step in plan if "Index Name" in step} == {"Index Only Scan"}


def test_expired_messages_are_found_by_an_index(clients):
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        expire(store_of_database(), NOW)
    [sql] = [q["sql"] for q in captured if 'FROM "scheduler_api_run"' in q["sql"]]

    assert indexes_of(plan_of(sql)) == {"runs_by_expiry"}


def plan_of_batch(doomed: Any) -> list[dict[str, Any]]:
    with CaptureQueriesContext(connection) as captured:
        list(doomed.values("pk")[: retention.BATCH])
    return plan_of(captured[0]["sql"])
