"""The recorder's connection, on which threads of tasks send statements themselves."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import DEFAULT_DB_ALIAS, DataError, OperationalError, connection, connections

from scheduler_api.runs.models import Run
from scheduler_api.worker import recorder_connection as connection_module
from scheduler_api.worker.prepared_statements import BoundStatement, PreparedStatement
from scheduler_api.worker.recorder_connection import Job, RecorderConnection
from tests.api.runs.examples import entered

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

RENAME = "UPDATE scheduler_api_run SET task = %(task)s WHERE id = %(id)s RETURNING task = 'new'"
KEEP = "UPDATE scheduler_api_run SET result = %(result)s WHERE id = %(id)s RETURNING true"
keep = PreparedStatement("store_result", postgresql=KEEP, others=KEEP)
rename = PreparedStatement("rename_on_recorder_connection", postgresql=RENAME, others=RENAME)


@pytest.fixture(autouse=True)
def fast_paths(settings: Any) -> None:
    settings.FAST_PATHS = True


@pytest.fixture
def run_id() -> UUID:
    return entered(task="old").pk


class Owner:
    """Owns a connection, as a recorder does, and executes jobs on it."""

    def __init__(self) -> None:
        self.refused: list[tuple[BoundStatement, Exception]] = []
        self.connection = RecorderConnection(
            lambda statement, error: self.refused.append((statement, error))
        )

    def do(self, job: Job = lambda: None) -> Any:
        """Execute a job inside `exclusive`, in a thread that leaves its connection open."""

        def in_thread() -> Any:
            connections[DEFAULT_DB_ALIAS] = self.database
            with self.connection.exclusive():
                return job()

        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(in_thread).result(10)

    def __enter__(self) -> "Owner":
        self.database = connection.copy()
        self.database.inc_thread_sharing()
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()


@pytest.fixture
def unprepared() -> Iterator[Owner]:
    with Owner() as owner:
        yield owner


@pytest.fixture
def owner(unprepared: Owner, run_id: UUID) -> Owner:
    if connection.vendor != "postgresql":
        pytest.skip("only a connection to PostgreSQL is used by two threads")
    assert unprepared.do(BoundStatement(rename, {"id": run_id, "task": "old"})) is False
    return unprepared


def test_connection_sends_no_statement_without_fast_paths(owner, run_id, settings):
    settings.FAST_PATHS = False

    assert owner.connection.execute(to("new", run_id), seconds=5) is None
    assert not owner.connection.send(to("new", run_id), seconds=1)
    assert stored_task_name() == "old"


def to(task: str, run_id: UUID) -> BoundStatement:
    return BoundStatement(rename, {"id": run_id, "task": task})


def stored_task_name() -> str:
    return Run.objects.get().task


def test_execute_returns_the_value_of_the_statement(owner, run_id):
    assert owner.connection.execute(to("new", run_id), seconds=5) is True
    assert owner.connection.execute(to("newer", run_id), seconds=5) is False
    assert owner.connection.execute(to("newest", uuid4()), seconds=5) is None

    assert stored_task_name() == "newer"


def test_sent_statement_runs_before_the_next_one(owner, run_id):
    assert owner.connection.send(to("sent", run_id), seconds=1)
    assert owner.connection.send(to("sent next", run_id), seconds=1)
    assert owner.connection.execute(to("asked", run_id), seconds=5) is False
    assert stored_task_name() == "asked"

    assert owner.connection.send(to("sent at last", run_id), seconds=1)
    owner.do()
    assert stored_task_name() == "sent at last"
    assert not owner.refused


def test_statement_longer_than_the_socket_buffer_is_sent(owner, run_id):
    owner.do(BoundStatement(keep, {"id": run_id, "result": ""}))
    long = "x" * 30_000_000

    assert owner.connection.send(BoundStatement(keep, {"id": run_id, "result": long}), seconds=20)
    assert owner.connection.execute(to("new", run_id), seconds=20) is True

    assert Run.objects.get().result == long


def test_connection_that_is_not_ready_is_not_used_by_other_threads(unprepared, run_id):
    def is_unused(connection: RecorderConnection) -> bool:
        statement = to("new", run_id)
        return connection.execute(statement, seconds=5) is None and not connection.send(
            statement, seconds=0.1
        )

    assert is_unused(unprepared.connection), "nobody has opened it"
    unprepared.do(Run.objects.exists)
    assert is_unused(unprepared.connection), "nobody has prepared the statement"
    unprepared.do(to("old", run_id))
    unprepared.do(unprepared.connection.give_up)
    assert is_unused(unprepared.connection), "it was closed"
    assert stored_task_name() == "old"


def test_exclusive_connection_is_not_used_by_other_threads(owner, run_id):
    statement = to("new", run_id)

    def others() -> tuple[bool | None, bool]:
        return owner.connection.execute(statement, seconds=5), owner.connection.send(
            statement, seconds=0.1
        )

    assert owner.do(others) == (None, False)
    assert stored_task_name() == "old"


def test_refused_statement_calls_on_error_and_does_not_block_the_next(owner, run_id):
    too_long = to("x" * 201, run_id)

    assert owner.connection.send(too_long, seconds=1)
    assert owner.connection.execute(to("new", run_id), seconds=5) is True

    [(statement, error)] = owner.refused
    assert statement is too_long
    assert isinstance(error, DataError)
    assert owner.connection.execute(too_long, seconds=5) is None, "the caller gets no error"
    assert owner.connection.execute(to("new", run_id), seconds=5) is True
    assert len(owner.refused) == 1


def test_give_up_returns_statements_sent_on_a_lost_connection(owner, run_id):
    sent = to("sent", run_id)
    assert owner.connection.send(sent, seconds=1)
    terminate(owner)

    assert owner.connection.execute(to("new", run_id), seconds=5) is None
    assert not owner.connection.send(to("new", run_id), seconds=1)

    assert owner.do(owner.connection.give_up) == [sent]
    assert not owner.refused
    owner.do(to("old", run_id))
    assert owner.connection.execute(to("new", run_id), seconds=5) is True, (
        "a new connection is as good"
    )
    assert owner.do(owner.connection.give_up) == []


def test_check_flushed_forgets_only_old_statements(owner, run_id, monkeypatch):
    late = to("new", run_id)
    assert owner.connection.send(to("sent", run_id), seconds=1)
    later = connection_module.FLUSH_SECONDS + 1
    monkeypatch.setattr(connection_module, "monotonic", lambda: time.monotonic() + later)
    assert owner.connection.send(late, seconds=1)

    owner.do(owner.connection.check_flushed)

    assert owner.do(owner.connection.give_up) == [late]


def test_check_flushed_on_a_lost_connection_forgets_nothing(owner, run_id, monkeypatch):
    sent = to("new", run_id)
    assert owner.connection.send(sent, seconds=1)
    terminate(owner)
    monkeypatch.setattr(connection_module, "FLUSH_SECONDS", 0)

    with pytest.raises(OperationalError):
        owner.do(owner.connection.check_flushed)

    assert owner.do(owner.connection.give_up) == [sent]


def test_late_reply_is_not_returned_for_another_statement(owner, run_id):
    with locked(run_id):
        with pytest.raises(TimeoutError):
            owner.connection.execute(to("new", run_id), seconds=0.1)
        with pytest.raises(TimeoutError):
            owner.connection.execute(to("newer", run_id), seconds=0.1)
        assert not owner.connection.send(to("newest", run_id), seconds=0.1)

    assert owner.connection.execute(to("other", uuid4()), seconds=5) is None
    assert stored_task_name() == "new"


def test_late_refusal_of_an_executed_statement_does_not_call_on_error(owner, run_id):
    owner.do(lambda: owner.database.cursor().execute("SET lock_timeout = '300ms'"))
    with locked(run_id):
        with pytest.raises(TimeoutError):
            owner.connection.execute(to("new", run_id), seconds=0.1)
        owner.do()

    assert not owner.refused
    assert owner.connection.execute(to("newer", run_id), seconds=5) is False
    assert stored_task_name() == "newer"


def test_late_refusal_of_a_sent_statement_calls_on_error(owner, run_id):
    owner.do(lambda: owner.database.cursor().execute("SET lock_timeout = '300ms'"))
    sent = to("new", run_id)
    with locked(run_id):
        assert owner.connection.send(sent, seconds=0.1)
        owner.do()

    [(statement, error)] = owner.refused
    assert statement is sent
    assert isinstance(error, OperationalError)


def test_interrupted_execute_leaves_the_connection_usable(owner, run_id, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise SoftTimeLimitExceeded

    with monkeypatch.context() as patched:
        patched.setattr(connection_module, "receive", interrupted)
        with pytest.raises(SoftTimeLimitExceeded):
            owner.connection.execute(to("new", run_id), seconds=5)

    assert owner.connection.execute(to("newer", run_id), seconds=5) is False
    assert stored_task_name() == "newer"


def terminate(owner: Owner) -> None:
    pid = owner.do(lambda: owner.database.connection.info.backend_pid)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@contextmanager
def locked(run_id: UUID) -> Iterator[None]:
    """Lock a row for the duration of the block."""
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT 1 FROM scheduler_api_run WHERE id = %s FOR UPDATE", [run_id])
    yield
    other.rollback()
    other.close()
