"""Concurrent PostgreSQL connections: visibility of changes, notifications, and no deadlocks."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from django.db import connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from scheduler_api.periodic_tasks.agenda import Agenda
from tests.api.periodic_tasks.examples import stored
from tests.scheduler.agenda import ids, settle, stale_names

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer"),
]

SOON_SECONDS = 5
A_WHILE_SECONDS = 0.3
TASKS = "django_celery_beat_periodictask"


@pytest.fixture
def connect() -> Iterator[Callable[..., psycopg.Connection]]:
    """Open further connections to the same database."""
    opened = []

    def open_one(**options: Any) -> psycopg.Connection:
        there = connection.get_connection_params()
        place = {
            name: there[name]
            for name in ("dbname", "user", "password", "host", "port")
            if name in there
        }
        opened.append(psycopg.connect(**place, **options))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def notices(connect: Any) -> Callable[[float], int]:
    """Listen as beat does; count the notifications that arrive within a time."""
    listening = connect(autocommit=True)
    listening.execute("LISTEN scheduler_api_agenda")

    def count(within_seconds: float) -> int:
        return len(list(listening.notifies(timeout=within_seconds, stop_after=1)))

    return count


# --- NOTIFY ---------------------------------------------------------------------------------


def test_beat_is_notified_at_the_commit(connect, notices):
    stored()
    assert notices(SOON_SECONDS) == 1

    writer = connect()
    writer.execute(f"UPDATE {TASKS} SET queue = 'other'")
    assert notices(A_WHILE_SECONDS) == 0
    writer.commit()
    assert notices(SOON_SECONDS) == 1


def test_rolled_back_change_does_not_notify(connect, notices):
    stored()
    notices(SOON_SECONDS)

    writer = connect()
    writer.execute(f"UPDATE {TASKS} SET queue = 'other'")
    writer.rollback()

    assert notices(A_WHILE_SECONDS) == 0


@pytest.mark.parametrize(
    ("table", "change"),
    [
        (TASKS, "queue = 'other'"),
        ("django_celery_beat_intervalschedule", "every = 31"),
    ],
)
def test_change_notifies_once(connect, notices, table, change):
    for number in range(10):
        stored(name=f"Task {number}")
        notices(SOON_SECONDS)

    connect(autocommit=True).execute(f"UPDATE {table} SET {change}")

    assert (notices(SOON_SECONDS), notices(A_WHILE_SECONDS)) == (1, 0)


def test_writes_of_beat_do_not_notify(connect, notices):
    stored()
    notices(SOON_SECONDS)

    beat = connect(autocommit=True)
    beat.execute(f"UPDATE {TASKS} SET last_run_at = now(), total_run_count = total_run_count + 1")
    beat.execute("UPDATE scheduler_api_agenda SET due_at = now(), stale = false")

    assert notices(A_WHILE_SECONDS) == 0
    assert stale_names() == []


# --- Other programs -------------------------------------------------------------------------


def test_writer_needs_no_privileges_on_the_agenda(connect):
    stored(name="one")
    settle()
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE trig_stranger")
        try:
            cursor.execute(f"GRANT SELECT, UPDATE, DELETE ON {TASKS} TO trig_stranger")
            stranger = connect(autocommit=True)
            stranger.execute("SET ROLE trig_stranger")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                stranger.execute("SELECT * FROM scheduler_api_agenda")

            stranger.execute(f"UPDATE {TASKS} SET queue = 'other'")
            assert stale_names() == ["one"]
            stranger.execute(f"DELETE FROM {TASKS}")
            assert ids() == []
        finally:
            cursor.execute("DROP OWNED BY trig_stranger")
            cursor.execute("DROP ROLE trig_stranger")


def test_writer_with_any_search_path_marks_the_task(connect):
    """pg_restore sets an empty one."""
    stored(name="one")
    settle()

    restore = connect(autocommit=True, options="-c search_path=")
    restore.execute(f"UPDATE public.{TASKS} SET queue = 'other'")

    assert stale_names() == ["one"]


# --- At the same time -----------------------------------------------------------------------


def test_task_added_during_a_change_of_its_schedule_is_marked(connect):
    """Otherwise beat plans it by the old schedule, and the change does not mark it."""
    template = stored(name="template")
    schedule_writer, task_writer = connect(), connect(autocommit=True)
    columns = [
        field.column for field in PeriodicTask._meta.concrete_fields if not field.primary_key
    ]
    listed = ", ".join(columns)
    copied = ", ".join("'new'" if name == "name" else name for name in columns)

    schedule_writer.execute("UPDATE django_celery_beat_intervalschedule SET every = 31")
    with ThreadPoolExecutor() as pool:
        new = pool.submit(
            task_writer.execute,
            f"INSERT INTO {TASKS} ({listed}) SELECT {copied} FROM {TASKS} WHERE id = %s",
            [template.pk],
        )
        wait_until_blocked(task_writer)
        assert stale_names() == ["template"], "beat cannot see the task before the change"
        schedule_writer.commit()
        new.result(SOON_SECONDS)

    assert stale_names() == ["new", "template"]
    assert IntervalSchedule.objects.get().every == 31


def test_change_of_a_schedule_waits_for_tasks_being_added_to_it(connect):
    stored(name="one")
    other = IntervalSchedule.objects.create(every=60, period="seconds")
    settle()
    task_writer, schedule_writer = connect(), connect(autocommit=True)

    task_writer.execute(f"UPDATE {TASKS} SET interval_id = %s", [other.pk])
    with ThreadPoolExecutor() as pool:
        change = pool.submit(
            schedule_writer.execute,
            "UPDATE django_celery_beat_intervalschedule SET every = 61 WHERE id = %s",
            [other.pk],
        )
        wait_until_blocked(schedule_writer)
        [(first,)] = task_writer.execute("SELECT stale_at FROM scheduler_api_agenda").fetchall()
        task_writer.commit()
        change.result(SOON_SECONDS)

    assert Agenda.objects.get().stale_at > first


def wait_until_blocked(one: psycopg.Connection) -> None:
    """Wait until a connection waits for a lock."""
    with connection.cursor() as cursor:
        for _ in range(1_000):
            cursor.execute(
                "SELECT pg_sleep(0.005), wait_event_type FROM pg_stat_activity WHERE pid = %s",
                [one.info.backend_pid],
            )
            if cursor.fetchone()[1] == "Lock":
                return
    pytest.fail("it does not wait")


def claim_some(beat: psycopg.Connection) -> int:
    """Lock and update due rows, as beat does; return their number."""
    rows = beat.execute(
        f"SELECT p.id FROM scheduler_api_agenda a JOIN {TASKS} p ON p.id = a.periodic_task_id"
        " ORDER BY a.stale_at LIMIT 20 FOR NO KEY UPDATE OF a, p SKIP LOCKED"
    ).fetchall()
    pks = [pk for (pk,) in rows]
    beat.execute(
        f"UPDATE {TASKS} SET last_run_at = now(), total_run_count = total_run_count + 1"
        " WHERE id = ANY(%s)",
        [pks],
    )
    beat.execute(
        "UPDATE scheduler_api_agenda SET due_at = now(), stale = false"
        " WHERE periodic_task_id = ANY(%s)",
        [pks],
    )
    return len(pks)


def test_eight_writers_and_beat_never_deadlock(connect):
    """Writers of the same and of other tasks and of their schedule, beside two beats.

    SKIP LOCKED still waits for a row that was changed, committed, and changed again meanwhile:
    beat's `lock_timeout` ends before PostgreSQL aborts a writer after a second.
    """
    for number in range(40):
        stored(name=f"Task {number}")
    stop_after = 40
    pks = ids()

    def write(seed: int) -> int:
        chance, writer = random.Random(seed), connect(autocommit=True)
        for step in range(stop_after):
            kind = chance.randrange(4)
            if kind == 0:
                writer.execute(
                    f"UPDATE {TASKS} SET args = %s WHERE id = %s",
                    [f"[{seed}, {step}]", chance.choice(pks)],
                )
            elif kind == 1:
                # In one transaction, in ascending order of id.
                with writer.transaction():
                    for pk in sorted(chance.sample(pks, 5)):
                        writer.execute(
                            f"UPDATE {TASKS} SET args = %s WHERE id = %s",
                            [f"[{seed}, {step}]", pk],
                        )
            elif kind == 2:
                writer.execute("UPDATE django_celery_beat_intervalschedule SET every = every + 1")
            else:
                writer.execute(
                    f"UPDATE {TASKS} SET enabled = NOT enabled WHERE id = %s",
                    [chance.choice(pks)],
                )
        return stop_after

    def serve(_: int) -> int:
        beat, taken = connect(autocommit=True, options="-c lock_timeout=100ms"), 0
        while not done:
            with suppress(psycopg.errors.LockNotAvailable), beat.transaction():
                taken += claim_some(beat)
        return taken

    done: list[bool] = []
    with ThreadPoolExecutor(10) as pool:
        beats = [pool.submit(serve, number) for number in range(2)]
        writers = [pool.submit(write, seed) for seed in range(8)]
        try:
            assert [writer.result(60) for writer in writers] == [stop_after] * 8
        finally:
            done.append(True)
        assert all(beat.result(SOON_SECONDS) for beat in beats)

    settle()
    PeriodicTask.objects.update(queue="other")
    assert len(stale_names()) == 40
