"""The recorder: it executes jobs, and repeats them until the database answers."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import IntegrityError, OperationalError

from scheduler_api.runs import transitions
from scheduler_api.worker import recorder
from scheduler_api.worker.recorder import Recorder

pytestmark = pytest.mark.both_databases


@pytest.fixture
def ongoing() -> list[str]:
    return []


@pytest.fixture
def recorder_thread(ongoing: list[str], monkeypatch: Any) -> Iterator[Recorder]:
    monkeypatch.setattr(recorder, "RETRY_INTERVAL_SECONDS", 0.02)
    monkeypatch.setattr(recorder, "EXECUTE_TIMEOUT_SECONDS", 0.5)
    thread = Recorder(lambda: [*ongoing])
    thread.start()
    yield thread
    thread.stop()


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "not within 10 seconds"
        time.sleep(0.005)


class Job:
    """Raises each of `failures`, then returns True; records the threads that called it."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.threads: list[str] = []

    def __call__(self) -> bool:
        self.threads.append(threading.current_thread().name)
        if self.failures:
            raise self.failures.pop(0)
        return True


def test_job_runs_in_the_recorder_thread(recorder_thread):
    job = Job()

    assert recorder_thread.execute(job)

    assert job.threads == ["recorder"]


def test_job_on_a_lost_connection_runs_again_on_a_new_one(recorder_thread):
    job = Job(OperationalError("gone"))

    assert recorder_thread.execute(job)

    assert len(job.threads) == 2


def test_execute_without_the_database_raises_and_the_thread_goes_on(recorder_thread):
    with pytest.raises(OperationalError, match="still gone"):
        recorder_thread.execute(Job(OperationalError("gone"), OperationalError("still gone")))
    assert recorder_thread.execute(Job()), "the thread goes on"


def test_job_with_an_integrity_error_is_not_repeated(recorder_thread):
    job = Job(IntegrityError("twice"))

    with pytest.raises(IntegrityError):
        recorder_thread.execute(job)

    assert len(job.threads) == 1


def test_execute_of_a_slow_job_times_out(recorder_thread):
    released = threading.Event()

    with pytest.raises(TimeoutError):
        recorder_thread.execute(lambda: released.wait(10))

    released.set()
    assert recorder_thread.execute(Job())


def test_direct_statement_that_times_out_is_executed_by_the_recorder(recorder_thread, monkeypatch):
    statement = Job()
    monkeypatch.setattr(recorder_thread._connection, "execute", Mock(side_effect=TimeoutError))

    with pytest.raises(TimeoutError):
        recorder_thread.execute_directly(statement)

    wait_until(lambda: statement.threads == ["recorder"])
    recorder_thread.execute(Job(OperationalError("gone")))
    assert len(statement.threads) == 1, "it might start what waits for its next attempt"


def test_enqueue_does_not_wait_for_the_job(recorder_thread):
    released, job = threading.Event(), Job()

    recorder_thread.enqueue(lambda: released.wait(10))
    recorder_thread.enqueue(job)
    assert not job.threads

    released.set()
    wait_until(lambda: job.threads)


def test_enqueued_job_is_repeated_until_the_database_answers(recorder_thread, caplog):
    job = Job(*(OperationalError("gone") for _ in range(3)))

    recorder_thread.enqueue(job)

    wait_until(lambda: len(job.threads) == 4)
    assert "The end of a run is written later: gone" in caplog.text


def test_enqueued_job_with_an_integrity_error_is_abandoned(recorder_thread, caplog):
    job = Job(IntegrityError("twice"))

    recorder_thread.enqueue(job)
    assert recorder_thread.execute(Job())

    assert len(job.threads) == 1
    assert "A write to the ledger failed and is not repeated" in caplog.text


def test_enqueued_job_is_repeated_after_a_database_crash(recorder_thread):
    enqueued, executed = Job(), Job()
    recorder_thread.enqueue(enqueued)
    recorder_thread.execute(executed)

    recorder_thread.execute(Job(OperationalError("gone")))

    wait_until(lambda: len(enqueued.threads) == 2)
    assert recorder_thread.execute(Job(OperationalError("gone")))
    assert (len(enqueued.threads), len(executed.threads)) == (2, 1)


def test_stop_executes_enqueued_jobs_first(ongoing):
    thread, jobs = Recorder(lambda: [*ongoing]), [Job() for _ in range(20)]
    thread.start()

    for job in jobs:
        thread.enqueue(job)
    thread.stop()

    assert all(job.threads for job in jobs)


def test_backlog_is_executed_in_order_when_the_database_answers(recorder_thread):
    done: list[str] = []
    away = Job(*(OperationalError("gone") for _ in range(3)))

    recorder_thread.retry_later(lambda: away() and done.append("first") is None)
    recorder_thread.retry_later(lambda: done.append("second") is None)

    wait_until(lambda: done == ["first", "second"])


def test_backlog_job_with_an_error_does_not_block_the_rest(recorder_thread, caplog):
    last = Job()

    recorder_thread.retry_later(Job(IntegrityError("twice")))
    recorder_thread.retry_later(last)

    wait_until(lambda: last.threads)
    assert "A write to the ledger failed and is not repeated" in caplog.text


@pytest.mark.parametrize(("is_child", "ended"), [(True, [signal.SIGKILL]), (False, [])])
def test_recorder_kills_a_child_process_whose_run_was_cancelled(
    ongoing, monkeypatch, is_child, ended
):
    looked, sent = [], []
    monkeypatch.setattr(recorder, "CANCELLATION_CHECK_SECONDS", 0.02)
    monkeypatch.setattr(recorder, "RETRY_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(transitions, "terminate_requested", lambda run_ids, at: bool(run_ids))
    monkeypatch.setattr(recorder.os, "kill", lambda _, number: sent.append(number))
    monkeypatch.setattr(
        recorder, "current_process", lambda: looked.append(1) or SimpleNamespace(daemon=is_child)
    )
    ongoing.append("a run")
    thread = Recorder(lambda: [*ongoing])
    thread.start()

    wait_until(lambda: looked)
    thread.stop()

    assert sent[:1] == ended


def test_recorder_does_not_kill_its_process_when_the_run_ends_meanwhile(ongoing, monkeypatch):
    looked, sent = [], []

    def look(run_ids: list[str], at: object) -> bool:
        looked.append(run_ids)
        ongoing.clear()
        return True

    monkeypatch.setattr(recorder, "CANCELLATION_CHECK_SECONDS", 0.02)
    monkeypatch.setattr(recorder, "RETRY_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(transitions, "terminate_requested", look)
    monkeypatch.setattr(recorder.os, "kill", lambda _, number: sent.append(number))
    monkeypatch.setattr(recorder, "current_process", lambda: SimpleNamespace(daemon=True))
    ongoing.append("a run")
    thread = Recorder(lambda: [*ongoing])
    thread.start()

    wait_until(lambda: looked)
    thread.stop()

    assert (looked, sent) == ([["a run"]], [])


def test_recorder_renews_the_leases_of_its_runs(ongoing, monkeypatch):
    said: list[list[str]] = []
    monkeypatch.setattr(recorder, "LEASE_RENEWAL_SECONDS", 0.02)
    monkeypatch.setattr(recorder, "RETRY_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(transitions, "renew_leases", said.append)
    thread = Recorder(lambda: [*ongoing])
    thread.start()

    ongoing.append("a run")
    wait_until(lambda: len(said) >= 2)
    thread.stop()

    assert said[:2] == [["a run"], ["a run"]]


def test_recorder_blocks_signals_in_its_thread(recorder_thread):
    blocked: list[signal.Signals] = []

    recorder_thread.execute(
        lambda: bool(blocked.extend(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    )

    assert signal.SIGTERM in blocked
