"""The connection by which the thread of a task sends what every run needs."""

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

pytestmark = pytest.mark.django_db(transaction=True)

RENAME = "UPDATE scheduler_api_run SET task = %(task)s WHERE id = %(id)s RETURNING task = 'new'"
KEEP = "UPDATE scheduler_api_run SET result = %(result)s WHERE id = %(id)s RETURNING true"
keep = PreparedStatement("keep_by_line", postgresql=KEEP, others=KEEP)
rename = PreparedStatement("rename_by_line", postgresql=RENAME, others=RENAME)


@pytest.fixture(autouse=True)
def fast_paths(settings: Any) -> None:
    settings.FAST_PATHS = True


@pytest.fixture
def run_id() -> UUID:
    return entered(task="old").pk


class Owner:
    """A thread that has a line, as a recorder has, and does with it what it is asked to."""

    def __init__(self) -> None:
        self.refused: list[tuple[BoundStatement, Exception]] = []
        self.connection = RecorderConnection(
            lambda statement, error: self.refused.append((statement, error))
        )

    def do(self, job: Job = lambda: None) -> Any:
        """Hold the line in a thread of its own, whose connection stays open for the next one."""

        def exclusive() -> Any:
            connections[DEFAULT_DB_ALIAS] = self.database
            with self.connection.exclusive():
                return job()

        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(exclusive).result(10)

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
        pytest.skip("only a connection of PostgreSQL's is used by two threads")
    assert unprepared.do(BoundStatement(rename, {"id": run_id, "task": "old"})) is False
    return unprepared


def test_a_statement_is_left_to_the_recorder_without_fast_paths(owner, run_id, settings):
    settings.FAST_PATHS = False

    assert owner.connection.execute(to("new", run_id), seconds=5) is None
    assert not owner.connection.send(to("new", run_id), seconds=1)
    assert the_task() == "old"


def to(task: str, run_id: UUID) -> BoundStatement:
    return BoundStatement(rename, {"id": run_id, "task": task})


def the_task() -> str:
    return Run.objects.get().task


def test_it_returns_what_the_statement_returns(owner, run_id):
    assert owner.connection.execute(to("new", run_id), seconds=5) is True
    assert owner.connection.execute(to("newer", run_id), seconds=5) is False
    assert owner.connection.execute(to("newest", uuid4()), seconds=5) is None

    assert the_task() == "newer"


def test_what_is_sent_goes_before_what_comes_next(owner, run_id):
    assert owner.connection.send(to("sent", run_id), seconds=1)
    assert owner.connection.send(to("sent next", run_id), seconds=1)
    assert owner.connection.execute(to("asked", run_id), seconds=5) is False
    assert the_task() == "asked"

    assert owner.connection.send(to("sent at last", run_id), seconds=1)
    owner.do()
    assert the_task() == "sent at last"
    assert not owner.refused


def test_what_is_longer_than_a_socket_takes_at_once_is_sent(owner, run_id):
    owner.do(BoundStatement(keep, {"id": run_id, "result": ""}))
    long = "x" * 30_000_000

    assert owner.connection.send(BoundStatement(keep, {"id": run_id, "result": long}), seconds=20)
    assert owner.connection.execute(to("new", run_id), seconds=20) is True

    assert Run.objects.get().result == long


def test_a_connection_that_is_not_ready_is_left_to_its_owner(unprepared, run_id):
    def is_left(connection: RecorderConnection) -> bool:
        statement = to("new", run_id)
        return connection.execute(statement, seconds=5) is None and not connection.send(
            statement, seconds=0.1
        )

    assert is_left(unprepared.connection), "nobody has opened it"
    unprepared.do(Run.objects.exists)
    assert is_left(unprepared.connection), "nobody has prepared the statement"
    unprepared.do(to("old", run_id))
    unprepared.do(unprepared.connection.give_up)
    assert is_left(unprepared.connection), "it was closed"
    assert the_task() == "old"


def test_nobody_else_has_it_while_it_is_held(owner, run_id):
    statement = to("new", run_id)

    def others() -> tuple[bool | None, bool]:
        return owner.connection.execute(statement, seconds=5), owner.connection.send(
            statement, seconds=0.1
        )

    assert owner.do(others) == (None, False)
    assert the_task() == "old"


def test_what_was_refused_is_heard_of_and_the_next_is_not_held_up(owner, run_id):
    too_long = to("x" * 201, run_id)

    assert owner.connection.send(too_long, seconds=1)
    assert owner.connection.execute(to("new", run_id), seconds=5) is True

    [(statement, error)] = owner.refused
    assert statement is too_long
    assert isinstance(error, DataError)
    assert owner.connection.execute(too_long, seconds=5) is None, (
        "whoever asks otherwise hears of it"
    )
    assert owner.connection.execute(to("new", run_id), seconds=5) is True
    assert len(owner.refused) == 1


def test_when_the_connection_goes_what_was_sent_is_returned(owner, run_id):
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


def test_what_it_answers_for_later_is_on_the_disk(owner, run_id, monkeypatch):
    late = to("new", run_id)
    assert owner.connection.send(to("sent", run_id), seconds=1)
    later = connection_module.FLUSH_SECONDS + 1
    monkeypatch.setattr(connection_module, "monotonic", lambda: time.monotonic() + later)
    assert owner.connection.send(late, seconds=1)

    owner.do(owner.connection.check_flushed)

    assert owner.do(owner.connection.give_up) == [late]


def test_a_connection_that_has_gone_settles_nothing_however_long_ago(owner, run_id, monkeypatch):
    sent = to("new", run_id)
    assert owner.connection.send(sent, seconds=1)
    terminate(owner)
    monkeypatch.setattr(connection_module, "FLUSH_SECONDS", 0)

    with pytest.raises(OperationalError):
        owner.do(owner.connection.check_flushed)

    assert owner.do(owner.connection.give_up) == [sent]


def test_nobody_waits_longer_than_they_can_and_the_answer_is_no_one_elses(owner, run_id):
    with locked(run_id):
        with pytest.raises(TimeoutError):
            owner.connection.execute(to("new", run_id), seconds=0.1)
        with pytest.raises(TimeoutError):
            owner.connection.execute(to("newer", run_id), seconds=0.1)
        assert not owner.connection.send(to("newest", run_id), seconds=0.1)

    assert owner.connection.execute(to("other", uuid4()), seconds=5) is None
    assert the_task() == "new"


def test_whoever_did_not_wait_for_a_refusal_does_not_hear_of_it(owner, run_id):
    owner.do(lambda: owner.database.cursor().execute("SET lock_timeout = '300ms'"))
    with locked(run_id):
        with pytest.raises(TimeoutError):
            owner.connection.execute(to("new", run_id), seconds=0.1)
        owner.do()

    assert not owner.refused
    assert owner.connection.execute(to("newer", run_id), seconds=5) is False
    assert the_task() == "newer"


def test_what_was_sent_and_is_refused_late_is_heard_of(owner, run_id):
    owner.do(lambda: owner.database.cursor().execute("SET lock_timeout = '300ms'"))
    sent = to("new", run_id)
    with locked(run_id):
        assert owner.connection.send(sent, seconds=0.1)
        owner.do()

    [(statement, error)] = owner.refused
    assert statement is sent
    assert isinstance(error, OperationalError)


def test_who_is_interrupted_leaves_it_as_it_was(owner, run_id, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise SoftTimeLimitExceeded

    with monkeypatch.context() as patched:
        patched.setattr(connection_module, "receive", interrupted)
        with pytest.raises(SoftTimeLimitExceeded):
            owner.connection.execute(to("new", run_id), seconds=5)

    assert owner.connection.execute(to("newer", run_id), seconds=5) is False
    assert the_task() == "newer"


def terminate(owner: Owner) -> None:
    pid = owner.do(lambda: owner.database.connection.info.backend_pid)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@contextmanager
def locked(run_id: UUID) -> Iterator[None]:
    """Keep a row from all others."""
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT 1 FROM scheduler_api_run WHERE id = %s FOR UPDATE", [run_id])
    yield
    other.rollback()
    other.close()
