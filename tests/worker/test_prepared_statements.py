"""The statements that a worker sends for each run, executed by libpq and by Django."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import DataError, OperationalError, connection, transaction

from scheduler_api.runs import transitions
from scheduler_api.runs.events import FailureStreak
from scheduler_api.runs.models import LEASE, Run
from scheduler_api.worker import ledger_statements
from scheduler_api.worker.prepared_statements import PreparedStatement
from tests.api.runs.examples import entered

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

NOON = datetime(2027, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
A_SECOND = timedelta(seconds=1)
RESULT = '["Grüße \\u0000 % $1 \'"]'
RENAME = "UPDATE scheduler_api_run SET task = %(task)s WHERE id = %(id)s RETURNING task = 'new'"
rename = PreparedStatement("rename_run", postgresql=RENAME, others=RENAME)


@pytest.fixture(params=[nullcontext, transaction.atomic], ids=["by_itself", "in_a_transaction"])
def way(request: Any) -> Any:
    return request.param


def queued(**columns: Any) -> str:
    return str(entered(**{"periodic_task_id": 1, "state": "queued", **columns}).pk)


@pytest.fixture(autouse=True)
def _fast_paths(settings: Any) -> None:
    settings.FAST_PATHS = True


def start(run_id: str, *, at: datetime, worker: str) -> transitions.Start:
    first = ledger_statements.first_start(run_id, at=at, worker=worker)
    return transitions.start(run_id, at=at, worker=worker, start_first=first)


def succeed(run_id: str, **values: Any) -> bool:
    statement = ledger_statements.success(run_id, **values)
    assert statement is not None
    return statement() is not None


@pytest.mark.parametrize("is_on", [True, False])
def test_libpq_executes_a_statement_only_with_fast_paths(settings, monkeypatch, is_on):
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL has the fast path")
    settings.FAST_PATHS = is_on
    by_libpq: list[object] = []
    monkeypatch.setattr(PreparedStatement, "_by_libpq", lambda *_: by_libpq.append(1) or True)

    assert rename(id=UUID(queued()), task="new") is True

    assert bool(by_libpq) is is_on


@pytest.mark.parametrize("is_failing", [False, True])
def test_statements_record_start_and_success_of_a_run(way, is_failing):
    run_id = queued()
    if is_failing:
        FailureStreak.objects.create(periodic_task_id=1, failures=1, first_failed_at=NOON)

    with way():
        started = start(run_id, at=NOON, worker="celery@größe")
    run = Run.objects.get()
    assert started == (True, is_failing)
    assert (run.state, run.started_at, run.worker, run.attempts) == (
        "running",
        NOON,
        "celery@größe",
        1,
    )
    remaining = run.lease_until - datetime.now(UTC)
    assert LEASE / 2 < remaining <= LEASE + A_SECOND

    with way():
        ended = succeed(
            run_id, at=NOON + A_SECOND, started_at=NOON, result=RESULT, is_result_truncated=True
        )
    run.refresh_from_db()
    assert ended
    assert (run.state, run.finished_at, run.lease_until) == ("succeeded", NOON + A_SECOND, None)
    assert (run.result, run.is_result_truncated) == (RESULT, True)


def test_statement_without_a_matching_row_returns_false(way):
    run_id = queued(state="cancelled")

    with way():
        assert start(run_id, at=NOON, worker="celery@here") == (False, False)
        assert not succeed(run_id, at=NOON, started_at=NOON, result="1", is_result_truncated=False)

    assert Run.objects.get().state == "cancelled"


def test_start_repeated_after_a_lost_reply_is_confirmed(way):
    run_id = queued()
    assert start(run_id, at=NOON, worker="celery@here").is_to_start

    with way():
        assert start(run_id, at=NOON, worker="celery@here").is_to_start
        assert not start(run_id, at=NOON, worker="celery@there").is_to_start
        assert not start(run_id, at=NOON + A_SECOND, worker="celery@here").is_to_start

    assert Run.objects.get().attempts == 1


@pytest.mark.parametrize(("task", "answer"), [("new", True), ("other", False)])
def test_statement_returns_its_boolean(way, task, answer):
    run_id = queued()

    with way():
        assert rename(id=UUID(run_id), task=task) is answer


def test_statement_error_is_django_error_and_keeps_the_connection(way):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite takes a text of any length")
    run_id = queued()

    with pytest.raises(DataError, match="too long"), way():
        rename(id=UUID(run_id), task="x" * 201)

    assert rename(id=UUID(run_id), task="new") is True


def test_statement_is_prepared_again_after_a_lost_connection(way):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no server")
    run_id = queued()
    assert rename(id=UUID(run_id), task="new") is True
    [pid] = single_row("SELECT pg_backend_pid()")
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    other.close()

    with pytest.raises(OperationalError), way():
        rename(id=UUID(run_id), task="other")
    connection.close()

    with way():
        assert rename(id=UUID(run_id), task="other") is False


def single_row(statement: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return tuple(cursor.fetchone())
