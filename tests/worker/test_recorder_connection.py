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
from scheduler_api.worker import recorder_connection as line_module
from scheduler_api.worker.prepared_statements import Call, Statement
from scheduler_api.worker.recorder_connection import Job, Line
from tests.api.runs.examples import entered

pytestmark = pytest.mark.django_db(transaction=True)

RENAME = "UPDATE scheduler_api_run SET task = %(task)s WHERE id = %(id)s RETURNING task = 'new'"
KEEP = "UPDATE scheduler_api_run SET result = %(result)s WHERE id = %(id)s RETURNING true"
keep = Statement("keep_by_line", postgresql=KEEP, others=KEEP)
rename = Statement("rename_by_line", postgresql=RENAME, others=RENAME)


@pytest.fixture
def run_id() -> UUID:
    return entered(task="old").pk


class Owner:
    """A thread that has a line, as a recorder has, and does with it what it is asked to."""

    def __init__(self) -> None:
        self.refused: list[tuple[Call, Exception]] = []
        self.line = Line(lambda call, error: self.refused.append((call, error)))

    def do(self, job: Job = lambda: None) -> Any:
        """Hold the line in a thread of its own, whose connection stays open for the next one."""

        def held() -> Any:
            connections[DEFAULT_DB_ALIAS] = self.database
            with self.line.held():
                return job()

        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(held).result(10)

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
    assert unprepared.do(Call(rename, {"id": run_id, "task": "old"})) is False
    return unprepared


def to(task: str, run_id: UUID) -> Call:
    return Call(rename, {"id": run_id, "task": task})


def the_task() -> str:
    return Run.objects.get().task


def test_it_returns_what_the_statement_returns(owner, run_id):
    assert owner.line.ask(to("new", run_id), seconds=5) is True
    assert owner.line.ask(to("newer", run_id), seconds=5) is False
    assert owner.line.ask(to("newest", uuid4()), seconds=5) is None

    assert the_task() == "newer"


def test_what_is_sent_goes_before_what_comes_next(owner, run_id):
    assert owner.line.send(to("sent", run_id), seconds=1)
    assert owner.line.send(to("sent next", run_id), seconds=1)
    assert owner.line.ask(to("asked", run_id), seconds=5) is False
    assert the_task() == "asked"

    assert owner.line.send(to("sent at last", run_id), seconds=1)
    owner.do()
    assert the_task() == "sent at last"
    assert not owner.refused


def test_what_is_longer_than_a_socket_takes_at_once_is_sent(owner, run_id):
    owner.do(Call(keep, {"id": run_id, "result": ""}))
    long = "x" * 30_000_000

    assert owner.line.send(Call(keep, {"id": run_id, "result": long}), seconds=20)
    assert owner.line.ask(to("new", run_id), seconds=20) is True

    assert Run.objects.get().result == long


def test_a_connection_that_is_not_ready_is_left_to_its_owner(unprepared, run_id):
    def is_left(line: Line) -> bool:
        call = to("new", run_id)
        return line.ask(call, seconds=5) is None and not line.send(call, seconds=0.1)

    assert is_left(unprepared.line), "nobody has opened it"
    unprepared.do(Run.objects.exists)
    assert is_left(unprepared.line), "nobody has prepared the statement"
    unprepared.do(to("old", run_id))
    unprepared.do(unprepared.line.give_up)
    assert is_left(unprepared.line), "it was closed"
    assert the_task() == "old"


def test_nobody_else_has_it_while_it_is_held(owner, run_id):
    call = to("new", run_id)

    def others() -> tuple[bool | None, bool]:
        return owner.line.ask(call, seconds=5), owner.line.send(call, seconds=0.1)

    assert owner.do(others) == (None, False)
    assert the_task() == "old"


def test_what_was_refused_is_heard_of_and_the_next_is_not_held_up(owner, run_id):
    too_long = to("x" * 201, run_id)

    assert owner.line.send(too_long, seconds=1)
    assert owner.line.ask(to("new", run_id), seconds=5) is True

    [(call, error)] = owner.refused
    assert call is too_long
    assert isinstance(error, DataError)
    assert owner.line.ask(too_long, seconds=5) is None, "whoever asks otherwise hears of it"
    assert owner.line.ask(to("new", run_id), seconds=5) is True
    assert len(owner.refused) == 1


def test_when_the_connection_goes_what_was_sent_is_returned(owner, run_id):
    sent = to("sent", run_id)
    assert owner.line.send(sent, seconds=1)
    terminate(owner)

    assert owner.line.ask(to("new", run_id), seconds=5) is None
    assert not owner.line.send(to("new", run_id), seconds=1)

    assert owner.do(owner.line.give_up) == [sent]
    assert not owner.refused
    owner.do(to("old", run_id))
    assert owner.line.ask(to("new", run_id), seconds=5) is True, "a new connection is as good"
    assert owner.do(owner.line.give_up) == []


def test_what_it_answers_for_later_is_on_the_disk(owner, run_id, monkeypatch):
    late = to("new", run_id)
    assert owner.line.send(to("sent", run_id), seconds=1)
    later = line_module.SETTLED_SECONDS + 1
    monkeypatch.setattr(line_module, "monotonic", lambda: time.monotonic() + later)
    assert owner.line.send(late, seconds=1)

    owner.do(owner.line.settle)

    assert owner.do(owner.line.give_up) == [late]


def test_a_connection_that_has_gone_settles_nothing_however_long_ago(owner, run_id, monkeypatch):
    sent = to("new", run_id)
    assert owner.line.send(sent, seconds=1)
    terminate(owner)
    monkeypatch.setattr(line_module, "SETTLED_SECONDS", 0)

    with pytest.raises(OperationalError):
        owner.do(owner.line.settle)

    assert owner.do(owner.line.give_up) == [sent]


def test_nobody_waits_longer_than_they_can_and_the_answer_is_no_one_elses(owner, run_id):
    with locked(run_id):
        with pytest.raises(TimeoutError):
            owner.line.ask(to("new", run_id), seconds=0.1)
        with pytest.raises(TimeoutError):
            owner.line.ask(to("newer", run_id), seconds=0.1)
        assert not owner.line.send(to("newest", run_id), seconds=0.1)

    assert owner.line.ask(to("other", uuid4()), seconds=5) is None
    assert the_task() == "new"


def test_whoever_did_not_wait_for_a_refusal_does_not_hear_of_it(owner, run_id):
    owner.do(lambda: owner.database.cursor().execute("SET lock_timeout = '300ms'"))
    with locked(run_id):
        with pytest.raises(TimeoutError):
            owner.line.ask(to("new", run_id), seconds=0.1)
        owner.do()

    assert not owner.refused
    assert owner.line.ask(to("newer", run_id), seconds=5) is False
    assert the_task() == "newer"


def test_what_was_sent_and_is_refused_late_is_heard_of(owner, run_id):
    owner.do(lambda: owner.database.cursor().execute("SET lock_timeout = '300ms'"))
    sent = to("new", run_id)
    with locked(run_id):
        assert owner.line.send(sent, seconds=0.1)
        owner.do()

    [(call, error)] = owner.refused
    assert call is sent
    assert isinstance(error, OperationalError)


def test_who_is_interrupted_leaves_it_as_it_was(owner, run_id, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise SoftTimeLimitExceeded

    with monkeypatch.context() as patched:
        patched.setattr(line_module, "receive", interrupted)
        with pytest.raises(SoftTimeLimitExceeded):
            owner.line.ask(to("new", run_id), seconds=5)

    assert owner.line.ask(to("newer", run_id), seconds=5) is False
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
