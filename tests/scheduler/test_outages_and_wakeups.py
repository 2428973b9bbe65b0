"""Beat with a failing database or a bug, and the events that wake it."""

import threading
from time import monotonic
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections
from psycopg import errors

from scheduler_api.scheduler.models import BeatHeartbeat
from scheduler_api.scheduler.waker import Waker
from scheduler_api.scheduler.watchdog import Watchdog
from tests.scheduler.engines import NOON, SECOND, TestedEngine

pytestmark = pytest.mark.both_databases

on_postgres = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has no connection"
)


@pytest.fixture
def beat(db: None, monkeypatch: Any) -> TestedEngine:
    # It has the test's transaction, which is rolled back afterwards.
    monkeypatch.setattr(connections[DEFAULT_DB_ALIAS], "close", lambda: None)
    return TestedEngine()


@pytest.fixture
def sleeps(beat: TestedEngine, monkeypatch: Any) -> list[float]:
    """Record the sleeps of beat in place of sleeping."""
    slept: list[float] = []
    monkeypatch.setattr(beat.engine.waker, "wait", slept.append)
    return slept


def failing(error: Exception) -> Any:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_database_outage_backs_off_and_is_logged_once(beat, sleeps, monkeypatch, caplog):
    pending_work = beat.engine.store.pending_work
    monkeypatch.setattr(beat.engine.store, "pending_work", failing(OperationalError("gone")))

    for _ in range(7):
        beat.engine.tick()

    assert sleeps == [1, 2, 4, 8, 10, 10, 10]
    assert caplog.text.count("The database does not answer: gone") == 1

    monkeypatch.setattr(beat.engine.store, "pending_work", pending_work)
    beat.engine.tick()
    assert sleeps[-1] == 1
    assert caplog.text.count("The database answers again") == 1


@pytest.mark.parametrize("cause", [errors.SerializationFailure, errors.DeadlockDetected,
                                   errors.LockNotAvailable])  # fmt: skip
def test_transaction_conflict_is_retried_at_once(beat, sleeps, monkeypatch, caplog, cause):
    error = OperationalError("in the way")
    error.__cause__ = cause()
    monkeypatch.setattr(beat.engine.store, "pending_work", failing(error))

    beat.engine.tick()
    beat.engine.tick()

    assert sleeps == [0.002, 0.002]
    assert "does not answer" not in caplog.text


def test_bug_in_a_tick_is_logged_with_its_traceback_and_beat_continues(
    beat, sleeps, monkeypatch, caplog
):
    monkeypatch.setattr(beat.engine.store, "pending_work", failing(ZeroDivisionError("a mistake")))

    beat.engine.tick()
    beat.engine.tick()

    assert sleeps == [1, 2]
    assert "ZeroDivisionError: a mistake" in caplog.text


def test_heartbeat_is_written_and_deleted_at_the_stop(beat):
    beat.run()
    assert BeatHeartbeat.objects.get().ticked_at == NOON

    beat.run(at=NOON + 4 * SECOND)
    assert BeatHeartbeat.objects.get().ticked_at == NOON
    beat.publisher.publish_error = "RabbitMQ does not answer: it is gone"
    beat.run(at=NOON + 4 * SECOND)
    assert BeatHeartbeat.objects.get().publish_error == beat.publisher.publish_error
    beat.run(at=NOON + 10 * SECOND)
    assert BeatHeartbeat.objects.get().ticked_at == NOON + 10 * SECOND

    beat.engine.stop(timeout_seconds=0)
    assert not BeatHeartbeat.objects.exists()


def test_waker_woken_by_another_thread_ends_its_wait():
    waker = Waker()
    began = monotonic()
    threading.Timer(0.1, waker.wake).start()

    waker.wait(30)

    assert monotonic() - began < 10
    waker.close()


def test_waker_woken_before_its_wait_ends_that_wait_alone():
    waker = Waker()
    for _ in range(100_000):  # more than a pipe holds
        waker.wake()

    waker.wait(30)
    began = monotonic()
    waker.wait(0.2)

    assert monotonic() - began >= 0.2
    waker.close()


@on_postgres
@pytest.mark.django_db(transaction=True)
def test_waker_ends_its_wait_on_a_notification():
    waker = Waker()
    waker.wait(0)  # starts to listen
    with connection.cursor() as cursor:
        cursor.execute("NOTIFY scheduler_api_agenda")
    began = monotonic()

    waker.wait(30)

    assert monotonic() - began < 10
    waker.close()


@on_postgres
@pytest.mark.django_db(transaction=True)
def test_query_without_an_answer_is_aborted():
    watchdog = Watchdog(timeout_seconds=0.5)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (server,) = cursor.fetchone()
    began = monotonic()

    with pytest.raises(OperationalError), watchdog, connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(60)")

    assert monotonic() - began < 30
    watchdog.close()
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [server])  # its query goes on
