"""The thread that writes into the ledger: what it does when the database does not."""

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


@pytest.fixture
def ongoing() -> list[str]:
    return []


@pytest.fixture
def recorder_thread(ongoing: list[str], monkeypatch: Any) -> Iterator[Recorder]:
    monkeypatch.setattr(recorder, "RETRY_INTERVAL_SECONDS", 0.02)
    monkeypatch.setattr(recorder, "EXECUTE_TIMEOUT_SECONDS", 0.5)
    thread = Recorder(ongoing)
    thread.start()
    yield thread
    thread.stop()


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "not within 10 seconds"
        time.sleep(0.005)


class Job:
    """Fails as it is told, then returns True; knows in which thread it was done."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.threads: list[str] = []

    def __call__(self) -> bool:
        self.threads.append(threading.current_thread().name)
        if self.failures:
            raise self.failures.pop(0)
        return True


def test_a_job_is_done_in_its_thread(recorder_thread):
    job = Job()

    assert recorder_thread.execute(job)

    assert job.threads == ["recorder"]


def test_a_connection_that_has_gone_is_made_anew_at_once(recorder_thread):
    job = Job(OperationalError("gone"))

    assert recorder_thread.execute(job)

    assert len(job.threads) == 2


def test_a_database_that_does_not_answer_is_an_error_for_the_one_who_asks(recorder_thread):
    with pytest.raises(OperationalError, match="still gone"):
        recorder_thread.execute(Job(OperationalError("gone"), OperationalError("still gone")))
    assert recorder_thread.execute(Job()), "the thread goes on"


def test_a_mistake_is_no_reason_to_ask_again(recorder_thread):
    job = Job(IntegrityError("twice"))

    with pytest.raises(IntegrityError):
        recorder_thread.execute(job)

    assert len(job.threads) == 1


def test_nobody_waits_longer_than_they_can(recorder_thread):
    released = threading.Event()

    with pytest.raises(TimeoutError):
        recorder_thread.execute(lambda: released.wait(10))

    released.set()
    assert recorder_thread.execute(Job())


def test_a_call_that_takes_too_long_is_made_all_the_same(recorder_thread, monkeypatch):
    statement = Job()
    monkeypatch.setattr(recorder_thread._connection, "execute", Mock(side_effect=TimeoutError))

    with pytest.raises(TimeoutError):
        recorder_thread.execute_directly(statement)

    wait_until(lambda: statement.threads == ["recorder"])
    recorder_thread.execute(Job(OperationalError("gone")))
    assert len(statement.threads) == 1, "it might start what waits for its next attempt"


def test_nobody_waits_for_what_is_told(recorder_thread):
    released, job = threading.Event(), Job()

    recorder_thread.enqueue(lambda: released.wait(10))
    recorder_thread.enqueue(job)
    assert not job.threads

    released.set()
    wait_until(lambda: job.threads)


def test_what_is_told_is_written_later_when_the_database_is_away(recorder_thread, caplog):
    job = Job(*(OperationalError("gone") for _ in range(3)))

    recorder_thread.enqueue(job)

    wait_until(lambda: len(job.threads) == 4)
    assert "The end of a run is written later: gone" in caplog.text


def test_what_is_told_and_wrong_is_left_out(recorder_thread, caplog):
    job = Job(IntegrityError("twice"))

    recorder_thread.enqueue(job)
    assert recorder_thread.execute(Job())

    assert len(job.threads) == 1
    assert "A write to the ledger failed and is not repeated" in caplog.text


def test_what_a_crash_of_the_database_may_have_forgotten_is_written_again(recorder_thread):
    told, asked = Job(), Job()
    recorder_thread.enqueue(told)
    recorder_thread.execute(asked)

    recorder_thread.execute(Job(OperationalError("gone")))

    wait_until(lambda: len(told.threads) == 2)
    assert recorder_thread.execute(Job(OperationalError("gone")))
    assert (len(told.threads), len(asked.threads)) == (2, 1)


def test_what_was_told_before_the_end_is_written_before_it(ongoing):
    thread, jobs = Recorder(ongoing), [Job() for _ in range(20)]
    thread.start()

    for job in jobs:
        thread.enqueue(job)
    thread.stop()

    assert all(job.threads for job in jobs)


def test_what_is_kept_is_written_in_its_order_when_the_database_answers(recorder_thread):
    done: list[str] = []
    away = Job(*(OperationalError("gone") for _ in range(3)))

    recorder_thread.retry_later(lambda: away() and done.append("first") is None)
    recorder_thread.retry_later(lambda: done.append("second") is None)

    wait_until(lambda: done == ["first", "second"])


def test_what_cannot_be_written_does_not_hold_up_the_rest(recorder_thread, caplog):
    last = Job()

    recorder_thread.retry_later(Job(IntegrityError("twice")))
    recorder_thread.retry_later(last)

    wait_until(lambda: last.threads)
    assert "A write to the ledger failed and is not repeated" in caplog.text


@pytest.mark.parametrize(("is_child", "ended"), [(True, [signal.SIGKILL]), (False, [])])
def test_it_ends_its_process_when_its_run_was_cancelled(ongoing, monkeypatch, is_child, ended):
    looked, sent = [], []
    monkeypatch.setattr(recorder, "CANCELLATION_CHECK_SECONDS", 0.02)
    monkeypatch.setattr(recorder, "RETRY_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(transitions, "end_asked_for", lambda run_ids, at: bool(run_ids))
    monkeypatch.setattr(recorder.os, "kill", lambda _, number: sent.append(number))
    monkeypatch.setattr(
        recorder, "current_process", lambda: looked.append(1) or SimpleNamespace(daemon=is_child)
    )
    ongoing.append("a run")
    thread = Recorder(ongoing)
    thread.start()

    wait_until(lambda: looked)
    thread.stop()

    assert sent[:1] == ended


def test_it_does_not_end_its_process_when_the_run_ends_meanwhile(ongoing, monkeypatch):
    looked, sent = [], []

    def look(run_ids: list[str], at: object) -> bool:
        looked.append(run_ids)
        ongoing.clear()
        return True

    monkeypatch.setattr(recorder, "CANCELLATION_CHECK_SECONDS", 0.02)
    monkeypatch.setattr(recorder, "RETRY_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(transitions, "end_asked_for", look)
    monkeypatch.setattr(recorder.os, "kill", lambda _, number: sent.append(number))
    monkeypatch.setattr(recorder, "current_process", lambda: SimpleNamespace(daemon=True))
    ongoing.append("a run")
    thread = Recorder(ongoing)
    thread.start()

    wait_until(lambda: looked)
    thread.stop()

    assert (looked, sent) == ([["a run"]], [])


def test_it_says_which_runs_live(ongoing, monkeypatch):
    said: list[list[str]] = []
    monkeypatch.setattr(recorder, "LEASE_RENEWAL_SECONDS", 0.02)
    monkeypatch.setattr(recorder, "RETRY_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(transitions, "renew", said.append)
    thread = Recorder(ongoing)
    thread.start()

    ongoing.append("a run")
    wait_until(lambda: len(said) >= 2)
    thread.stop()

    assert said[:2] == [["a run"], ["a run"]]


def test_it_leaves_signals_to_the_main_thread(recorder_thread):
    blocked: list[signal.Signals] = []

    recorder_thread.execute(
        lambda: bool(blocked.extend(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    )

    assert signal.SIGTERM in blocked
